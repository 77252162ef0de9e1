import Autodiff
import Compute

/// Several prompts, mixed for each input by the softmax of a small network over the mean of the frozen model's hidden
/// states (dynamic prompting: Yang et al., 2023).
public final class PoolPrompt: VectorPrompt {
  public static let name = "pool"

  /// `[pool size, length embeddingWidth]`.
  private let pool: Parameter
  private let network: NetworkLayer
  public let length: Int
  private let width: Int
  public let featureForm: FeatureForm

  public init(_ request: PromptRequest) throws {
    let (backend, facts, options) = (request.model.backend, request.model.facts, request.options)
    (length, width) = (request.length, facts.embeddingWidth)
    featureForm = try FeatureForm(request)
    let values: [Float]
    if case .adapter = request.start {
      // The adapter's rows for every member.
      let rows = try request.startValues()
      values = (0..<options.poolSize).flatMap { _ in rows }
    } else {
      values = try request.startValues(options.poolSize * request.length)
    }
    pool = Parameter(
      name: "pool", value: try backend.tensor(values, [options.poolSize, length * width]),
      isTrainable: request.isTrainable)
    var generator = Philox(seed: request.seed, stream: Parameter.networkStream + 2)
    let activation = options.poolActivation ?? (options.position.isLearned ? .none : .tanh)
    network = try NetworkLayer(
      "pool_network", facts.hiddenWidth, options.poolSize, activation: activation == .tanh ? .tanh : nil,
      isTrainable: request.isTrainable, &generator, on: backend)
  }

  public var parameters: [Parameter] { [pool] + network.parameters }
  public var variesByExample: Bool { true }
  public var needsFeatures: Bool { true }

  public func vectors(of batch: PromptBatch, on tape: Tape) throws -> PromptVectors {
    let features = tape.constant(try batch.features(), name: "features")
    let weights = try tape.softmax(try network(features, on: tape))
    let mixed = try tape.linear(weights, weight: tape.variable(pool))
    return PromptVectors(
      try tape.reshape(mixed, [batch.texts.count * length, width]), poolWeights: weights)
  }

  public func peftTensors(on backend: any ComputeBackend) -> PEFTPrompt? { nil }
}
