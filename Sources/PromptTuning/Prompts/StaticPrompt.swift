import Autodiff
import Compute

/// Free vectors in front of the embedded text (Lester et al., 2021, "The Power of Scale for Parameter-Efficient Prompt
/// Tuning", section 2).
public final class StaticPrompt: VectorPrompt {
  public static let name = "static"
  /// The name of the tensor in PEFT's files.
  public static let tensorName = "prompt_embeddings"

  /// `[length, embeddingWidth]`, f32.
  public let embeddings: Parameter

  /// - Parameter values: `[length, embeddingWidth]`, row-major.
  public init(values: [Float], length: Int, width: Int, isTrainable: Bool, on backend: any ComputeBackend) throws {
    embeddings = Parameter(
      name: Self.tensorName, value: try backend.tensor(values, [length, width]), isTrainable: isTrainable)
  }

  public convenience init(_ request: PromptRequest) throws {
    try self.init(
      values: try request.startValues(), length: request.length, width: request.model.facts.embeddingWidth,
      isTrainable: request.isTrainable, on: request.model.backend)
  }

  public var parameters: [Parameter] { [embeddings] }
  public var length: Int { embeddings.shape[0] }

  public func vectors(of batch: PromptBatch, on tape: Tape) -> PromptVectors {
    PromptVectors(tape.variable(embeddings))
  }

  public func peftTensors(on backend: any ComputeBackend) throws -> PEFTPrompt? {
    PEFTPrompt(.promptTuning, rows: try backend.values(embeddings.value), length: length)
  }
}
