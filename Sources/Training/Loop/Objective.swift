import Autodiff
import Compute
import LanguageModels
import PromptTuning

/// What the trainer makes smaller: a model with something trainable in it, and the losses of examples under it.
public protocol Objective: AnyObject {
  var backend: any ComputeBackend { get }
  /// What is trained, each under a name of its own.
  var trainableParameters: [Parameter] { get }

  /// Tells what random choices depend on: what is recorded from now on are the losses of a step's examples, in order.
  func begin(step: Int)

  /// Further numbers for the line of a step.
  func metrics(ofStep step: Int) -> [MetricsLine.Field]

  /// How many losses an example has.
  func lossCount(of example: EncodedExample) -> Int

  /// The losses of examples, end to end: `[sum of loss counts]`.
  ///
  /// The negative log-likelihood of every target token, or whatever a head's loss is.
  func losses(_ examples: [EncodedExample], on tape: Tape) throws -> Variable

  /// The losses of examples, and what a head answers for each of them; nil where it writes text.
  func assessment(_ examples: [EncodedExample], on tape: Tape) throws -> (losses: Variable, scores: Variable?)
}

extension Objective {
  public func begin(step: Int) {}
  public func metrics(ofStep step: Int) -> [MetricsLine.Field] { [] }
}

/// Prompted examples and plain text alike: a text without prompt is a context of one token and the rest as its target.
extension PromptedModel: Objective {
  public func lossCount(of example: EncodedExample) -> Int { example.target.count }

  public func metrics(ofStep step: Int) -> [MetricsLine.Field] {
    (temperature(ofStep: step).map { [.init("temperature", .number($0))] } ?? [])
      + (featuresComputed.map { [.init("features_computed", .integer($0))] } ?? [])
  }

  public func assessment(_ examples: [EncodedExample], on tape: Tape) throws -> (losses: Variable, scores: Variable?) {
    (try losses(examples, on: tape), nil)
  }
}

extension TaskModel: Objective {
  public func metrics(ofStep step: Int) -> [MetricsLine.Field] { prompted.metrics(ofStep: step) }
}
