import Autodiff
import Compute
import LanguageModels

/// Free keys and values in front of those of the text in every layer (Li and Liang, 2021; P-tuning v2: Liu et al., 2022).
public final class PrefixPrompt: TunablePrompt {
  public static let name = "prefix"
  public static let defaultStart = PromptInitialization.random

  /// `[length, 2 layers keyWidth]`, as `PrefixLayout` reads it.
  public let rows: Parameter
  private let layout: PrefixLayout
  private let dropout: PrefixDropout

  /// - Parameter values: `[length, layout.width]`, row-major.
  public init(
    values: [Float], length: Int, layout: PrefixLayout, dropout: PrefixDropout = PrefixDropout(), isTrainable: Bool,
    on backend: any ComputeBackend
  ) throws {
    rows = Parameter(
      name: StaticPrompt.tensorName, value: try backend.tensor(values, [length, layout.width]), isTrainable: isTrainable
    )
    self.layout = layout
    self.dropout = dropout
  }

  public convenience init(_ request: PromptRequest) throws {
    let layout = try PrefixLayout(request.model)
    let values: [Float]
    switch request.start {
    case .random:
      var generator = Philox(seed: request.seed, stream: Parameter.networkStream)
      let deviation = Float(request.options.prefixDeviation)
      values = (0..<request.length * layout.width).map { _ in deviation * generator.nextNormal() }
    case .zeros: values = [Float](repeating: 0, count: request.length * layout.width)
    case .adapter(let adapter): values = try adapter.prefixValues(length: request.length, layout)
    case .vocabulary, .text, .labels:
      throw MethodError.refused(
        "--prompt-init \(request.start): a prefix holds keys and values, not embeddings; random or adapter:DIR")
    }
    try self.init(
      values: values, length: request.length, layout: layout,
      dropout: PrefixDropout(probability: Float(request.options.prefixDropout), seed: request.seed),
      isTrainable: request.isTrainable, on: request.model.backend)
  }

  public var parameters: [Parameter] { [rows] }
  public var length: Int { rows.shape[0] }

  public func reading(of batch: PromptBatch, on tape: Tape) throws -> PromptReading {
    try tape.scope("prefix") {
      PromptReading(
        prefixes: try layout.prefixes(try dropout(tape.variable(rows), batch.draw, on: tape), on: tape))
    }
  }

  public func peftTensors(on backend: any ComputeBackend) throws -> PEFTPrompt? {
    guard layout.isKnownToPEFT else { return nil }
    return PEFTPrompt(
      .prefixTuning(projection: false, width: nil), rows: try backend.values(rows.value), length: length)
  }
}
