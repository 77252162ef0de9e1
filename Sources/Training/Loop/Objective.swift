import Autodiff
import Compute
import LanguageModels
import PromptTuning

/// What the trainer makes smaller: a model with something trainable in it, and the losses of examples under it.
public protocol Objective: AnyObject {
  var backend: any ComputeBackend { get }
  /// What is trained, each under a name of its own.
  var trainableParameters: [Parameter] { get }

  /// The negative log-likelihood of every target token, examples end to end: `[sum of target counts]`.
  func losses(_ examples: [EncodedExample], on tape: Tape) throws -> Variable
}

/// Prompted examples and plain text alike: a text without prompt is a context of one token and the rest as its target.
extension PromptedModel: Objective {}
