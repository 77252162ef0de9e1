import Autodiff
import Compute

/// Vectors that a feed-forward network makes of free ones.
///
/// Either linear, tanh, linear as in prefix tuning (Li and Liang, 2021), or PEFT's network for P-tuning. What is kept for
/// others is what the network puts out; it is not needed to use the prompt.
public final class MLPPrompt: VectorPrompt {
  public static let name = "mlp"
  public static let isReparameterized = true

  private let embeddings: Parameter
  private let layers: [NetworkLayer]
  private let form: PromptOptions.Reparameterization

  /// The width of prefix tuning's network in the authors' code.
  static let defaultWidth = 512

  public init(_ request: PromptRequest) throws {
    let (backend, width, trains) = (request.model.backend, request.model.facts.embeddingWidth, request.isTrainable)
    form = request.options.reparameterization
    embeddings = Parameter(
      name: "embedding.weight", value: try backend.tensor(try request.startValues(), [request.length, width]),
      isTrainable: trains)
    var generator = Philox(seed: request.seed, stream: Parameter.networkStream)
    func layer(_ number: Int, _ inputs: Int, _ outputs: Int, _ activation: Activation?) throws -> NetworkLayer {
      try NetworkLayer(
        "mlp_head.\(number)", inputs, outputs, activation: activation, isTrainable: trains, &generator, on: backend)
    }
    switch form {
    case .prefixTuning:
      let inner = request.options.reparameterizationWidth ?? Self.defaultWidth
      layers = [try layer(0, width, inner, .tanh), try layer(2, inner, width, nil)]
    case .pTuning:
      let inner = request.options.reparameterizationWidth ?? width
      layers = [
        try layer(0, width, inner, .relu), try layer(2, inner, inner, .relu), try layer(4, inner, width, nil),
      ]
    }
  }

  public var parameters: [Parameter] { [embeddings] + layers.flatMap(\.parameters) }
  public var length: Int { embeddings.shape[0] }

  public func vectors(of batch: PromptBatch, on tape: Tape) throws -> PromptVectors {
    PromptVectors(try layers.reduce(tape.variable(embeddings)) { try $1($0, on: tape) })
  }

  public func peftTensors(on backend: any ComputeBackend) throws -> PEFTPrompt? {
    let rows = try sharedValues(on: backend)
    guard form == .pTuning else { return PEFTPrompt(.promptTuning, rows: rows, length: length) }
    return PEFTPrompt(
      .pTuning(network: "MLP", width: layers[0].weight.shape[0], layers: 2), rows: rows, length: length)
  }
}
