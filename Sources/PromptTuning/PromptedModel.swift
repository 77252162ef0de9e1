import Autodiff
import Compute
import LanguageModels

/// A language model that reads a prompt with its text.
public final class PromptedModel {
  public let model: any LanguageModel
  public let prompt: any Prompt
  private let features: FeatureCache
  let frozenFronts: FrozenFronts
  private var draw: PromptDraw?

  public init(model: any LanguageModel, prompt: any Prompt) {
    self.model = model
    self.prompt = prompt
    features = FeatureCache(model, prompt.featureForm)
    frozenFronts = FrozenFronts(model)
  }

  public var backend: any ComputeBackend { model.backend }

  /// What is trained: of the prompt and of the model, whatever is not frozen.
  public var trainableParameters: [Parameter] { (prompt.parameters + model.parameters).filter(\.isTrainable) }

  /// All parameters, the prompt's first.
  public var parameters: [Parameter] { prompt.parameters + model.parameters }

  /// How many texts were read without the prompt for networks that look at their hidden states; nil where none does.
  public var featuresComputed: Int? { prompt.needsFeatures ? features.seen.fingerprints.count : nil }

  /// The texts that `featuresComputed` counts, with their features, so that a resumed run goes on with them.
  public var featureValues: FeatureValues {
    get { features.seen }
    set { features.restore(newValue) }
  }

  /// The temperature at which a step draws hard choices; nil where there are none.
  public func temperature(ofStep step: Int) -> Double? { (prompt as? PlacedPrompt)?.temperature(ofStep: step) }

  /// Tells what random choices depend on: the losses that are recorded from now on are those of a step's examples, in
  /// order.
  public func begin(step: Int) { draw = PromptDraw(step: step, firstRow: 0) }

  /// The negative log-likelihood of every target token, examples end to end.
  ///
  /// Behind an encoder, which reads the context, the decoder reads its start token and the target.
  ///
  /// - Returns: the losses `[sum of target counts]` in the order of the examples.
  public func losses(_ examples: [EncodedExample], on tape: Tape) throws -> Variable {
    let hidden = try hiddenStates(examples, .targets, on: tape)
    return try model.losses(hidden, try backend.indices(examples.flatMap(\.target)), on: tape)
  }

  /// What the prompt adds to texts.
  func reading(of texts: [[Int32]], closings: [Int], tasks: [Int]? = nil, on tape: Tape) throws -> PromptReading {
    let features = features
    let batch = PromptBatch(
      texts: texts, closings: closings, tasks: tasks, features: { try features.features(of: texts) },
      draw: tape.isRecording ? draw : nil)
    if tape.isRecording { draw?.firstRow += texts.count }
    return try prompt.reading(of: batch, on: tape)
  }

  /// Final hidden states of a bidirectional model, or of an encoder, that reads texts with the prompt.
  ///
  /// Where nothing else is asked for: `[sum of virtual tokens and tokens, hiddenWidth]`.
  public func encodeBidirectionally(
    _ texts: [[Int32]], outputs: BidirectionalOutputs = .all, on tape: Tape
  ) throws -> Variable {
    let rows = try promptedRows(texts, closings: texts.map { _ in 0 }, sharing: .nothing, on: tape)
    return try encode(rows, outputs, on: tape)
  }

  /// Rows without anything shared, through a model in which they see one another.
  func encode(_ rows: PromptedRows, _ outputs: BidirectionalOutputs, on tape: Tape) throws -> Variable {
    let isEncoderDecoder = model is any EncoderDecoderModel
    // The prefixes of an encoder-decoder belong to its decoder.
    let prefixes = isEncoderDecoder ? nil : rows.prefixes
    let outputs = outputs == .text ? .rows(rows.textPlaces) : outputs
    if isEncoderDecoder, let places = outputs.places(in: rows.lengths) {
      // Attention with relative positions takes fewer rows than there are for the last ones: all are computed.
      let states = try encode(rows, .all, on: tape)
      let chosen = zip(rows.ranges, places).flatMap { range, places in places.map { Int32(range.lowerBound + $0) } }
      return try tape.selectRows(states, try backend.indices(chosen))
    }
    let batch = try PackedBatch.bidirectional(
      prefixLength: prefixes?.length ?? 0, promptLength: 0, rows.lengths, outputs: outputs, on: backend)
    return try model.encode(rows.embeddings, batch, prefixes: prefixes, cache: nil, on: tape)
  }

  /// A prompt that every example has in front, and the embedded tokens: `[prompt length + tokens, embeddingWidth]`.
  public func embed(_ tokens: [Int32], on tape: Tape) throws -> Variable {
    try promptedRows([tokens], closings: [0], sharing: .virtualTokens, on: tape).embeddings
  }
}
