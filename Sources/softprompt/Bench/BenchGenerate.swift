import ArgumentParser
import Compute
import Evaluation
import Foundation
import PromptTuning
import Training

/// `softprompt bench generate`.
struct BenchGenerateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate",
    abstract: "Measure greedy decoding with the cache after random inputs, at several batch sizes.")

  @OptionGroup var modelArguments: ModelArguments
  @OptionGroup var arguments: BenchArguments

  @Option(help: "Tokens of each input.")
  var inputTokens = 45

  @Option(help: "New tokens of each text; fewer if a text ends.")
  var newTokens = 32

  @Option(name: .customLong("batch-size"), parsing: .upToNextOption, help: "Texts that are continued together.")
  var batchSizes = [1, 4, 16]

  @Flag(help: "Print the time of each operation in one more generation for each batch size, first token included.")
  var profile = false

  func validate() throws {
    guard inputTokens > 0, newTokens > 0 else { throw ValidationError("token counts must be at least 1") }
    guard batchSizes.allSatisfy({ $0 > 0 }) else { throw ValidationError("--batch-size must be at least 1") }
    guard !(profile && arguments.json) else { throw ValidationError("--profile prints a table: leave --json out") }
  }

  private struct Figure: Encodable {
    var batch_size: Int
    var tokens: Int
    var tokens_per_second: Double
    var milliseconds_per_step: Double
    /// From the inputs to the first token of every text.
    var first_token_milliseconds: Double
    /// Bytes of weights per second that reach the arithmetic: one reading of the model a step.
    var gigabytes_per_second: Double
    /// Bytes of weights that a step reads, which the texts of a batch share.
    var weight_bytes_per_step: Int
    var weight_bytes_per_token: Double
    /// Of the measured bandwidth of copying: what reading the weights alone takes.
    var percent_of_peak = 0.0
  }

  private struct Report: Encodable {
    var device: String
    var peaks: DevicePeaks
    var generate: [Figure]
  }

  func run() throws {
    let device = try arguments.deviceOptions.open()
    let runProfile = profile ? try RunProfile(device) : nil
    runProfile?.backend.profile.isOn = false
    let backend: any ComputeBackend = runProfile?.backend ?? device
    let opened = try OpenedModel(modelArguments.model, modelArguments.precision.options(), on: backend)
    try opened.requireText()
    let prompted = PromptedModel(model: opened.model, prompt: NoPrompt())
    let stopwatch = Stopwatch(backend: backend, rounds: arguments.rounds)
    let before = try DevicePeaks(measuredOn: backend)
    var figures = try batchSizes.map { try measure($0, prompted, opened, stopwatch) }
    let profiled = try runProfile.map { try record($0.backend, prompted, opened) }
    let peaks = before.best(try DevicePeaks(measuredOn: backend))
    for index in figures.indices {
      figures[index].percent_of_peak = 100 * figures[index].gigabytes_per_second / peaks.bandwidth
    }
    if arguments.json { return try Output.json(Report(device: backend.device.id, peaks: peaks, generate: figures)) }
    print("\(backend.device.id): \(backend.device.name)\n\(peaks.description)")
    print("a step reads \(Readable.bytes(opened.model.weightBytes)) of weights\n")
    Output.table(
      [
        "batch", "first token ms", "tokens/s", "ms a step", "MB of weights a token", "GB/s of weights",
        "% of bandwidth",
      ],
      figures.map {
        [
          String($0.batch_size), String(format: "%.1f", $0.first_token_milliseconds),
          String(format: "%.0f", $0.tokens_per_second), String(format: "%.2f", $0.milliseconds_per_step),
          String(format: "%.1f", 1e-6 * $0.weight_bytes_per_token),
          String(format: "%.1f", $0.gigabytes_per_second), String(format: "%.0f", $0.percent_of_peak),
        ]
      })
    if let runProfile, let profiled { RunProfile.show(runProfile.backend.profile, elapsed: profiled) }
  }

  /// Generates once more for each batch size, with the profile on.
  ///
  /// - Returns: how long that took.
  private func record(
    _ backend: ProfiledBackend, _ prompted: PromptedModel, _ opened: OpenedModel
  ) throws -> Profile.Time {
    let start = backend.profile.now
    backend.profile.isOn = true
    for batch in batchSizes {
      _ = try decoder(newTokens + 1, batch, prompted, opened).generate(contexts(batch, opened)) { _, _ in }
    }
    try backend.finishProfile()
    backend.profile.isOn = false
    return backend.profile.now - start
  }

  private func contexts(_ batch: Int, _ opened: OpenedModel) -> [[Int32]] {
    RandomTokens.examples(batch, input: inputTokens, target: 1, vocabulary: opened.codec.tokenizer.vocabularySize)
      .map(\.context)
  }

  private func decoder(
    _ tokens: Int, _ batch: Int, _ prompted: PromptedModel, _ opened: OpenedModel
  ) throws -> TextDecoder {
    try TextDecoder(
      promptedModel: prompted, codec: opened.codec,
      options: DecodingOptions(maxNewTokens: tokens, strategy: .greedy, batchSize: batch))
  }

  private func measure(
    _ batch: Int, _ prompted: PromptedModel, _ opened: OpenedModel, _ stopwatch: Stopwatch
  ) throws -> Figure {
    let contexts = contexts(batch, opened)
    // The first token comes out of the pass over the inputs; what is left when that is taken off is decoding.
    let (first, all) = (
      try decoder(1, batch, prompted, opened), try decoder(newTokens + 1, batch, prompted, opened)
    )
    var produced = 0
    let start = try stopwatch.median { _ = try first.generate(contexts) { _, _ in } }
    let whole = try stopwatch.median {
      produced = try all.generate(contexts) { _, _ in }.reduce(0) { $0 + $1.tokens.count - 1 }
    }
    let seconds = whole - start
    guard seconds > 0 else {
      throw ValidationError(
        "\(newTokens) tokens took no longer than one, so there is nothing to divide by; --new-tokens must be larger")
    }
    let steps = Double(produced) / Double(batch)
    let bytes = opened.model.weightBytes
    let bandwidth = 1e-9 * Double(bytes) * steps / seconds
    return Figure(
      batch_size: batch, tokens: produced, tokens_per_second: Double(produced) / seconds,
      milliseconds_per_step: 1e3 * seconds / max(1, steps), first_token_milliseconds: 1e3 * start,
      gigabytes_per_second: bandwidth,
      weight_bytes_per_step: bytes, weight_bytes_per_token: Double(bytes) / Double(batch))
  }
}
