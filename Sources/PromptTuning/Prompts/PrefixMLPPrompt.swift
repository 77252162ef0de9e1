import Autodiff
import Compute
import LanguageModels

/// Keys and values in every layer that a network makes of free vectors: linear, tanh, linear (Li and Liang, 2021).
public final class PrefixMLPPrompt: TunablePrompt {
  public static let name = "prefix-mlp"
  public static let isReparameterized = true
  public static let defaultStart = PromptInitialization.random

  private let embeddings: Parameter
  private let layers: [NetworkLayer]
  private let layout: PrefixLayout
  private let dropout: PrefixDropout

  public init(_ request: PromptRequest) throws {
    let (backend, width, trains) = (request.model.backend, request.model.facts.embeddingWidth, request.isTrainable)
    layout = try PrefixLayout(request.model)
    if case .adapter(let adapter) = request.start, adapter.isPrefix {
      throw MethodError.refused(
        "--prompt-init adapter: the network of --prompt \(Self.name) cannot start from ready keys and values; "
          + "--prompt prefix can")
    }
    let values: [Float]
    if case .random = request.start {
      var generator = Philox(seed: request.seed, stream: Parameter.networkStream + 1)
      let deviation = Float(request.options.prefixDeviation)
      values = (0..<request.length * width).map { _ in deviation * generator.nextNormal() }
    } else {
      values = try request.startValues()
    }
    embeddings = Parameter(
      name: "embedding.weight", value: try backend.tensor(values, [request.length, width]), isTrainable: trains)
    let inner = request.options.reparameterizationWidth ?? MLPPrompt.defaultWidth
    var generator = Philox(seed: request.seed, stream: Parameter.networkStream)
    layers = [
      try NetworkLayer(
        "transform.0", width, inner, activation: .tanh, isTrainable: trains, &generator, on: backend),
      try NetworkLayer("transform.2", inner, layout.width, isTrainable: trains, &generator, on: backend),
    ]
    dropout = PrefixDropout(probability: Float(request.options.prefixDropout), seed: request.seed)
  }

  public var parameters: [Parameter] { [embeddings] + layers.flatMap(\.parameters) }
  public var length: Int { embeddings.shape[0] }

  private func rows(on tape: Tape) throws -> Variable {
    try layers.reduce(tape.variable(embeddings)) { try $1($0, on: tape) }
  }

  public func reading(of batch: PromptBatch, on tape: Tape) throws -> PromptReading {
    try tape.scope("prefix") {
      PromptReading(prefixes: try layout.prefixes(try dropout(try rows(on: tape), batch.draw, on: tape), on: tape))
    }
  }

  public func peftTensors(on backend: any ComputeBackend) throws -> PEFTPrompt? {
    guard layout.isKnownToPEFT else { return nil }
    let rows = try rows(on: Tape(backend, isRecording: false)).value
    return PEFTPrompt(
      .prefixTuning(projection: true, width: layers[0].weight.shape[0]), rows: try backend.values(rows),
      length: length)
  }
}
