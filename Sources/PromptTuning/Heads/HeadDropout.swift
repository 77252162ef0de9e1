import Autodiff
import Compute

/// Dropout in front of the output layer of a head, in training alone (DynaMaR's head as RoBERTa has it: linear, tanh,
/// dropout, linear).
///
/// What is left out of a row follows from the seed, the step and the row's place among those of the step, so that it does
/// not matter how a step is split into batches.
public final class HeadDropout {
  /// The probability that a number is left out.
  public let probability: Float
  private let seed: UInt64
  private var draw: PromptDraw?

  private static let stream: UInt64 = 0x6472_6F70_0000_0000

  public init(probability: Float, seed: UInt64) {
    precondition(probability >= 0 && probability < 1, "a probability below 1")
    self.probability = probability
    self.seed = seed
  }

  /// The rows that are recorded from now on are those of a step, in order.
  func begin(step: Int) { draw = PromptDraw(step: step, firstRow: 0) }

  /// Rows with some of their numbers zero and the others larger, in a training step; else the rows themselves.
  func callAsFunction(_ rows: Variable, on tape: Tape) throws -> Variable {
    guard probability > 0, tape.isRecording, let draw else { return rows }
    let (count, width) = (rows.shape[0], rows.shape.columns)
    let factors = (0..<count).flatMap { row in
      var generator = Philox(
        seed: seed, stream: PromptDraw.stream(Self.stream, step: draw.step, row: draw.firstRow + row))
      return (0..<width).map { _ in generator.nextUniform() < probability ? 0 : 1 / (1 - probability) }
    }
    self.draw?.firstRow += count
    return try tape.multiply(
      rows, tape.constant(try tape.backend.tensor(factors, [count, width]), name: "dropout"))
  }
}
