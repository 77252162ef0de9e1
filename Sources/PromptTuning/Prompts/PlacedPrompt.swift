import Autodiff
import Compute

/// Virtual tokens in front of the text, behind it, or both, all or a part of them, as fixed or as learned (dynamic
/// prompting: Yang et al., 2023).
///
/// Option j of a learned position has j tokens behind the text; option j of a learned length has the first j tokens.
/// Where both are learned, the position is drawn over the places of the whole prompt whatever the length is, and of n
/// tokens option j has min(j, n) behind the text: the options from n on are the same arrangement, all n tokens behind.
/// The two choices are independent draws, so that each has the gradient that it would have alone with the other one
/// held. Recorded with an adapter as `PromptOptions.placesBeyondLength`.
public final class PlacedPrompt: Prompt {
  public let source: any VectorPrompt
  private let options: PromptOptions
  private let position: ChoiceNetwork?
  private let lengthChoice: ChoiceNetwork?
  public let featureForm: FeatureForm

  private static let positionStream: UInt64 = 0x706F_7369_0000_0000
  private static let lengthStream: UInt64 = 0x6C65_6E67_0000_0000

  init(_ source: any VectorPrompt, _ request: PromptRequest) throws {
    self.source = source
    options = request.options
    featureForm = options.readsFeatures(.none) ? try FeatureForm(request) : source.featureForm
    position =
      options.position.isLearned
      ? try ChoiceNetwork(
        "position", options: source.length + 1, isByInstance: options.position == .instance, request,
        stream: Self.positionStream) : nil
    lengthChoice =
      options.length == .fixed
      ? nil
      : try ChoiceNetwork(
        "length", options: source.length + 1, isByInstance: options.length == .instance, request,
        stream: Self.lengthStream)
  }

  public var parameters: [Parameter] {
    source.parameters + (position?.parameters ?? []) + (lengthChoice?.parameters ?? [])
  }
  public var length: Int { source.length }
  public var needsFeatures: Bool {
    source.needsFeatures || position?.isByInstance == true || lengthChoice?.isByInstance == true
  }
  public var variesByExample: Bool { needsFeatures }

  public func reading(of batch: PromptBatch, on tape: Tape) throws -> PromptReading {
    var reading = try source.reading(of: batch, on: tape)
    var behind = [Int](repeating: fixedBehind, count: batch.texts.count)
    var kept = [Int](repeating: length, count: batch.texts.count)
    var choices = PromptChoices(order: options.order)
    if let position {
      let chosen = try tape.scope("position") { try position(batch, on: tape) }
      behind = chosen.options
      choices.position = chosen.soft
    }
    if let lengthChoice {
      let chosen = try tape.scope("length") { try lengthChoice(batch, on: tape) }
      kept = chosen.options
      choices.length = chosen.soft
      // So many in front, as far as they are there.
      if case .count(let front) = options.position { behind = kept.map { max(0, $0 - front) } }
    }
    reading.placements = zip(behind, kept).map {
      PromptPlacement(count: length, behind: $0, kept: $1, order: options.order)
    }
    if position != nil { reading.positions = zip(behind, kept).map { $1 - min($0, $1) } }
    if lengthChoice != nil { reading.lengths = kept }
    if choices.position?.requiresGradient == true || choices.length?.requiresGradient == true {
      reading.choices = choices
    }
    return reading
  }

  /// The temperature at which a step, counted from 1, draws; nil where nothing is drawn.
  func temperature(ofStep step: Int) -> Double? {
    position == nil && lengthChoice == nil ? nil : TemperatureSchedule(options).temperature(after: step - 1)
  }

  private var fixedBehind: Int {
    switch options.position {
    case .front, .task, .instance: 0
    case .back: length
    case .count(let front): length - front
    }
  }

  public func peftTensors(on backend: any ComputeBackend) -> PEFTPrompt? { nil }
}
