import ArgumentParser
import Autodiff
import Compute
import Foundation
import LanguageModels
import PromptTuning
import Training

/// `softprompt bench train`.
struct BenchTrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Measure a prompt-tuning step: losses, gradient and AdamW update of a batch of random tokens.")

  @OptionGroup var modelArguments: ModelArguments
  @OptionGroup var arguments: BenchArguments

  @Option(help: "How many virtual tokens the prompt has.")
  var promptLength = 20

  @Option(help: "Examples in the batch.")
  var batchSize = 8

  @Option(help: "Tokens of each example's input.")
  var inputTokens = 45

  @Option(help: "Tokens of each example's target.")
  var targetTokens = 30

  @Flag(help: "Keep no values inside layers and compute them again for the gradient.")
  var recompute = false

  @Option(
    help: ArgumentHelp(
      "Take savings away that change no result: \(ExactSavings.named.map(\.name).joined(separator: ", ")).",
      valueName: "names"))
  var without: String?

  /// - Throws: `ValidationError` naming what there is.
  private func savings() throws -> ExactSavings {
    let names = without?.split(separator: ",", omittingEmptySubsequences: false).map(String.init) ?? []
    guard let savings = ExactSavings(without: names) else {
      throw ValidationError("--without takes \(ExactSavings.named.map(\.name).joined(separator: ", "))")
    }
    return savings
  }

  func validate() throws {
    _ = try savings()
    for (name, value) in [
      ("--prompt-length", promptLength), ("--batch-size", batchSize), ("--input-tokens", inputTokens),
      ("--target-tokens", targetTokens),
    ] where value < 1 { throw ValidationError("\(name) must be at least 1") }
  }

  private struct Report: Encodable {
    var device: String
    var step_milliseconds: Double
    var tokens_per_second: Double
    var peak_device_bytes: Int
    /// What the forward pass leaves in memory for the backward one.
    var kept_bytes: Int
    /// Of all operations of a step, as they were asked for.
    var flops: Double
    /// Operands and results of all operations, each read or written once per operation.
    var bytes: Double
    var gflops: Double
    var gigabytes_per_second: Double
    /// The time that the operations alone take at their peak, over the step's.
    var percent_of_peak: Double
    /// The time that the bytes alone take at the measured bandwidth, over the step's.
    var percent_of_bandwidth: Double
    var peaks: DevicePeaks
  }

  func run() throws {
    let device = try arguments.deviceOptions.open()
    let profile = Profile(limit: 0)
    profile.isOn = false
    let backend = ProfiledBackend(counting: device, in: profile)
    let opened = try OpenedModel(modelArguments.model, modelArguments.precision.options(), on: backend)
    try opened.requireText()
    let width = opened.model.facts.embeddingWidth
    let prompt = try StaticPrompt(
      values: try PromptInitialization.random.values(
        length: promptLength, model: opened.model, codec: opened.codec, seed: 1),
      length: promptLength, width: width, isTrainable: true, on: backend)
    let prompted = PromptedModel(model: opened.model, prompt: prompt)
    let examples = RandomTokens.examples(
      batchSize, input: inputTokens, target: targetTokens, vocabulary: opened.model.facts.vocabularySize)
    let targets = batchSize * targetTokens
    let weights = try backend.tensor([Float](repeating: 1 / Float(targets), count: targets), [targets])
    let moments = try (0..<2).map { _ in try backend.zeros(prompt.embeddings.shape) }
    let savings = try savings()
    var kept = 0
    func step() throws {
      let before = backend.memory.current
      let tape = Tape(backend, recomputesLayers: recompute, savings: savings)
      let losses = try prompted.losses(examples, on: tape)
      kept = backend.memory.current - before
      let gradients = try tape.gradients(of: losses, cotangent: weights)
      guard let gradient = gradients[prompt.embeddings] else { return }
      try backend.stepAdamW(
        AdamWStep(learningRate: 1e-3, step: 1), parameter: prompt.embeddings.value, gradient: gradient,
        firstMoment: moments[0], secondMoment: moments[1])
    }
    let seconds = try Stopwatch(backend: backend, rounds: arguments.rounds).median(step)
    profile.isOn = true
    try step()
    let work = profile.work
    let peakBytes = backend.memory.peak
    let peaks = try DevicePeaks(measuredOn: device)
    let rounded = modelArguments.precision.computeType == .bf16
    let report = Report(
      device: backend.device.id, step_milliseconds: 1e3 * seconds,
      tokens_per_second: Double(batchSize * (inputTokens + targetTokens)) / seconds,
      peak_device_bytes: peakBytes, kept_bytes: kept, flops: work.flops, bytes: work.bytes,
      gflops: 1e-9 * work.flops / seconds, gigabytes_per_second: 1e-9 * work.bytes / seconds,
      percent_of_peak: peaks.share(of: Work(flops: work.flops), rounded: rounded, seconds: seconds).percent,
      percent_of_bandwidth: peaks.share(of: Work(bytes: work.bytes), seconds: seconds).percent, peaks: peaks)
    if arguments.json { return try Output.json(report) }
    print("\(backend.device.id): \(backend.device.name)\n\(peaks.description)")
    print(
      String(
        format: "%.1f ms a step, %.0f tokens a second, peak device memory %@, %@ kept between the passes",
        report.step_milliseconds, report.tokens_per_second, Readable.bytes(report.peak_device_bytes),
        Readable.bytes(report.kept_bytes)))
    print(
      String(
        format: "%.1f GFLOP a step: %.1f GFLOP/s, %.0f %% of the peak; %.2f GB a step: %.1f GB/s, %.0f %%",
        1e-9 * report.flops, report.gflops, report.percent_of_peak, 1e-9 * report.bytes,
        report.gigabytes_per_second, report.percent_of_bandwidth))
  }
}

/// Examples of random tokens.
enum RandomTokens {
  static func examples(_ count: Int, input: Int, target: Int, vocabulary: Int) -> [EncodedExample] {
    var generator = Philox(seed: 1, stream: 2)
    func tokens(_ count: Int) -> [Int32] { (0..<count).map { _ in Int32(generator.nextIndex(below: vocabulary)) } }
    return (0..<count).map { index in
      EncodedExample(
        source: ExampleSource(file: "random", line: index + 1), context: tokens(input), target: tokens(target))
    }
  }
}
