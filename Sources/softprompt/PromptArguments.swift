import ArgumentParser
import PromptTuning
import Training

extension PromptKind: ExpressibleByArgument {}
extension PromptPosition: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}
extension PromptOptions.PoolActivation: ExpressibleByArgument {}
extension PromptOptions.Reparameterization: ExpressibleByArgument {}
extension PromptOptions.LengthChoice: ExpressibleByArgument {}
extension TaskStart: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}
extension PromptOptions.Features: ExpressibleByArgument {}
extension PromptOptions.Order: ExpressibleByArgument {}
extension PromptOptions.Choice: ExpressibleByArgument {}

/// The options of a prompt beside its kind and length.
struct PromptArguments: ParsableArguments {
  @Option(help: "Prompts in a pool, which are mixed for each input (default: 4).")
  var poolSize: Int?

  @Option(
    help: "What follows the network that mixes a pool: tanh or none (default: tanh, none with learned positions).")
  var poolActivation: PromptOptions.PoolActivation?

  @Option(
    help: "The hidden width of the network in front of mlp, lstm and prefix-mlp (default: 512; p-tuning: the model's).")
  var reparameterizationWidth: Int?

  @Option(help: "The network of mlp: prefix-tuning (linear, tanh, linear) or p-tuning (three linear, ReLU).")
  var reparameterization: PromptOptions.Reparameterization?

  @Option(
    help: ArgumentHelp(
      "Where the virtual tokens stand: front, back, a number of tokens in front, task or instance (learned).",
      valueName: "place"))
  var position: PromptPosition?

  @Option(help: "How many virtual tokens are read: fixed (all), task or instance (learned) (default: fixed).")
  var length: PromptOptions.LengthChoice?

  @Option(
    help: ArgumentHelp(
      "What networks that look at each input read: mean or padded-mean of the model's states (default: mean).",
      discussion: """
        mean: over the tokens of the input without a prompt. padded-mean: over --feature-length rows, padding \
        included, as the released code of dynamic prompting has it (T5); each pass then costs as much as an input of \
        that length.
        """))
  var features: PromptOptions.Features?

  @Option(help: "The rows that padded-mean is a mean over; a longer input has no padding (default: 480).")
  var featureLength: Int?

  @Option(help: "Which tokens stand behind: paper (the last ones) or cyclic (the first ones) (default: paper).")
  var promptOrder: PromptOptions.Order?

  @Option(help: "The temperature at which learned positions and lengths are drawn first (default: 1).")
  var temperature: Double?

  @Option(help: "The temperature falls no lower (default: 0.5).")
  var temperatureFloor: Double?

  @Option(help: "How slowly the temperature falls (default: 10).")
  var temperatureAnnealing: Double?

  @Option(help: "Learned positions and lengths without training: argmax or sample (default: argmax).")
  var promptChoice: PromptOptions.Choice?

  @Option(help: "The rank of what each task of a multitask prompt has of its own (default: 1, or the start's).")
  var promptRanks: Int?

  @Option(
    help: ArgumentHelp(
      "What tasks take over where --prompt-init names a multitask adapter: average, shared, each or a task's number.",
      discussion: """
        average: the mean of its tasks' factors. shared: its shared rows alone, with new factors. each: the same tasks \
        once more. A number from 0: the factors of that task. Default: average.
        """, valueName: "start"))
  var promptTaskInit: TaskStart?

  @Option(help: "The probability that a number of a prefix is left out of a step (default: 0; p-tuning-v2: 0.1).")
  var prefixDropout: Double?

  @Option(help: "The deviation of a prefix's random start (default: 0.02; p-tuning-v2: 1).")
  var prefixDeviation: Double?
}

extension ConfigurationLayer {
  mutating func set(_ options: PromptArguments) {
    set("pool-size", options.poolSize)
    set("pool-activation", options.poolActivation?.rawValue)
    set("reparameterization-width", options.reparameterizationWidth)
    set("reparameterization", options.reparameterization?.rawValue)
    set("position", options.position?.description)
    set("length", options.length?.rawValue)
    set("features", options.features?.rawValue)
    set("feature-length", options.featureLength)
    set("prompt-order", options.promptOrder?.rawValue)
    set("temperature", options.temperature)
    set("temperature-floor", options.temperatureFloor)
    set("temperature-annealing", options.temperatureAnnealing)
    set("prompt-choice", options.promptChoice?.rawValue)
    set("prompt-ranks", options.promptRanks)
    set("prompt-task-init", options.promptTaskInit?.description)
    set("prefix-dropout", options.prefixDropout)
    set("prefix-deviation", options.prefixDeviation)
  }
}
