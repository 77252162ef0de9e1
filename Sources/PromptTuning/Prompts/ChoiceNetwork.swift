import Autodiff
import Compute
import Foundation

/// A choice among numbered options that is learned: free scores for a task, or a linear layer with ReLU over features of
/// each input.
///
/// In training the choice is drawn and its gradient is that of the softmax at the temperature (Gumbel-Softmax,
/// straight-through: Jang et al., 2017; Maddison et al., 2017).
struct ChoiceNetwork {
  private enum Scores {
    /// `[1, options]`.
    case task(Parameter)
    case instance(NetworkLayer)
  }

  private let scores: Scores
  private let schedule: TemperatureSchedule
  private let choice: PromptOptions.Choice
  private let seed: UInt64
  /// Separates the draws of several choices.
  private let stream: UInt64

  init(
    _ name: String, options count: Int, isByInstance: Bool, _ request: PromptRequest, stream: UInt64
  ) throws {
    let backend = request.model.backend
    var generator = Philox(seed: request.seed, stream: stream)
    scores =
      isByInstance
      ? .instance(
        try NetworkLayer(
          "\(name)_network", request.model.facts.hiddenWidth, count, activation: .relu,
          isTrainable: request.isTrainable, &generator, on: backend))
      : .task(
        try Parameter(
          name: "\(name)_scores", uniform: 0.5, [1, count], isTrainable: request.isTrainable, &generator, on: backend))
    schedule = TemperatureSchedule(request.options)
    choice = request.options.choice
    seed = request.seed
    self.stream = stream
  }

  var parameters: [Parameter] {
    switch scores {
    case .task(let parameter): [parameter]
    case .instance(let layer): layer.parameters
    }
  }

  var isByInstance: Bool {
    if case .instance = scores { true } else { false }
  }

  /// What was chosen for each example, and the soft choices that gradients go through: `[examples, options]`, or
  /// `[1, options]` for a task.
  func callAsFunction(_ batch: PromptBatch, on tape: Tape) throws -> (options: [Int], soft: Variable) {
    let logits: Variable =
      switch scores {
      case .task(let parameter): tape.variable(parameter)
      case .instance(let layer): try layer(tape.constant(try batch.features(), name: "features"), on: tape)
      }
    let (rows, count) = (logits.shape[0], logits.shape[1])
    var noisy = logits
    if let noise = noise(batch, rows: rows, options: count) {
      noisy = try tape.add(logits, tape.constant(try tape.backend.tensor(noise, logits.shape), name: "Gumbel noise"))
    }
    let temperature = batch.draw.map { schedule.temperature(after: $0.step - 1) } ?? 1
    let soft = try tape.softmax(noisy, scale: Float(1 / temperature))
    let values = try tape.backend.values(noisy.value)
    let best = (0..<rows).map { row in
      (1..<count).reduce(0) { values[row * count + $1] > values[row * count + $0] ? $1 : $0 }
    }
    return (isByInstance ? best : [Int](repeating: best[0], count: batch.texts.count), soft)
  }

  /// Gumbel noise for a training step, or for drawing in evaluation; nil for the likeliest option.
  private func noise(_ batch: PromptBatch, rows: Int, options: Int) -> [Float]? {
    guard batch.draw != nil || choice == .sample else { return nil }
    return (0..<rows).flatMap { row in
      let place: UInt64 =
        if let draw = batch.draw {
          PromptDraw.stream(stream, step: draw.step, row: draw.firstRow + row)
        } else {
          // What is drawn for a text does not depend on the batch that it is in.
          stream ^ (isByInstance ? TokenFingerprint.of(batch.texts[row]) : 0)
        }
      var generator = Philox(seed: seed, stream: place)
      return (0..<options).map { _ in
        Float(-log(-log((Double(generator.nextBits()) + 0.5) * 0x1p-32)))
      }
    }
  }
}
