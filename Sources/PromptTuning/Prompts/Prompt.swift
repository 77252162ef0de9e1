import Autodiff
import Compute

/// The second axis: what trainable vectors the frozen model reads.
public protocol Prompt: AnyObject {
  /// Everything that is trained and kept.
  var parameters: [Parameter] { get }
  /// How many virtual tokens stand in front of the text.
  var length: Int { get }

  /// The virtual tokens, `[length, embeddingWidth]`; nil where there are none.
  func vectors(on tape: Tape) throws -> Variable?
}

/// No prompt at all, as in fine-tuning and in-context learning.
public final class NoPrompt: Prompt {
  public let parameters: [Parameter] = []
  public let length = 0

  public init() {}

  public func vectors(on tape: Tape) -> Variable? { nil }
}
