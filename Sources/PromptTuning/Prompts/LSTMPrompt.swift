import Autodiff
import Compute

/// Vectors that a bidirectional LSTM of two layers and two linear layers make of free ones (P-tuning: Liu et al., 2021,
/// "GPT Understands, Too"), with the sizes and names that PEFT has.
public final class LSTMPrompt: VectorPrompt {
  public static let name = "lstm"
  public static let isReparameterized = true

  private let embeddings: Parameter
  private let recurrent: [BidirectionalLSTMLayer]
  private let layers: [NetworkLayer]

  /// Layers of the LSTM.
  static let depth = 2

  public init(_ request: PromptRequest) throws {
    let (backend, width, trains) = (request.model.backend, request.model.facts.embeddingWidth, request.isTrainable)
    let inner = request.options.reparameterizationWidth ?? width
    embeddings = Parameter(
      name: "embedding.weight", value: try backend.tensor(try request.startValues(), [request.length, width]),
      isTrainable: trains)
    var generator = Philox(seed: request.seed, stream: Parameter.networkStream)
    recurrent = try (0..<Self.depth).map {
      try BidirectionalLSTMLayer(
        "lstm_head", number: $0, inputs: $0 == 0 ? width : 2 * inner, width: inner, isTrainable: trains, &generator,
        on: backend)
    }
    layers = [
      try NetworkLayer(
        "mlp_head.0", 2 * inner, 2 * inner, activation: .relu, isTrainable: trains, &generator, on: backend),
      try NetworkLayer("mlp_head.2", 2 * inner, width, isTrainable: trains, &generator, on: backend),
    ]
  }

  public var parameters: [Parameter] {
    [embeddings] + recurrent.flatMap(\.parameters) + layers.flatMap(\.parameters)
  }
  public var length: Int { embeddings.shape[0] }

  public func vectors(of batch: PromptBatch, on tape: Tape) throws -> PromptVectors {
    let states = try recurrent.reduce(tape.variable(embeddings)) { try $1($0, on: tape) }
    return PromptVectors(try layers.reduce(states) { try $1($0, on: tape) })
  }

  public func peftTensors(on backend: any ComputeBackend) throws -> PEFTPrompt? {
    PEFTPrompt(
      .pTuning(network: "LSTM", width: layers[1].weight.shape[1] / 2, layers: Self.depth),
      rows: try sharedValues(on: backend), length: length)
  }
}
