import Compute
import Foundation

/// Shows a run to whoever watches: a live line on a terminal, plain lines elsewhere, or the log's JSON.
public final class ProgressReporter {
  public enum Style: Sendable {
    /// A line that is drawn over again.
    case live
    case lines
    /// The lines of `metrics.jsonl` and nothing else.
    case json
  }

  private let style: Style
  private let memory: () -> MemoryUsage
  private let write: (String) -> Void
  private let warn: (String) -> Void
  private let clock = ContinuousClock()
  private var lastDrawn: ContinuousClock.Instant?
  private var liveWidth = 0
  private var started: (step: Int, time: ContinuousClock.Instant)?

  /// - Parameters:
  ///   - memory: the device's usage, asked for when it is shown.
  ///   - write: receives text for standard output.
  ///   - warn: receives lines that must be seen whatever the style is.
  public init(
    _ style: Style, memory: @escaping () -> MemoryUsage, write: @escaping (String) -> Void,
    warn: @escaping (String) -> Void
  ) {
    self.style = style
    self.memory = memory
    self.write = write
    self.warn = warn
  }

  /// Shows the lines before the first step.
  public func show(_ header: RunHeader) {
    guard style != .json else { return }
    write(header.lines.joined(separator: "\n") + "\n")
  }

  /// Shows an event.
  public func show(_ event: TrainingEvent) {
    switch event {
    case .resumed(let step, let total):
      guard style != .json else { return }
      put("resumed after step \(step) of \(total)")
    case .recomputing(let step, let reason):
      warn("step \(step): \(reason); from here on layers are computed again for the gradient, as with --recompute")
    case .step(let report): show(report)
    case .validation(let report):
      if style == .json { return write(report.line.json + "\n") }
      put(
        "step \(report.step)  validation loss \(Readable.fixed(report.loss, 4))" + metrics(report)
          + (report.isBest ? "  (best)" : ""))
    }
  }

  private func metrics(_ report: ValidationReport) -> String {
    report.metrics.map { field in
      switch field.value {
      case .integer(let number): "  \(field.name) \(number)"
      case .number(let number): "  \(field.name) \(number.map { Readable.fixed($0, 4) } ?? "undefined")"
      }
    }.joined()
  }

  private func show(_ report: StepReport) {
    if started == nil { started = (report.step - 1, clock.now) }
    switch style {
    case .json: if report.isLogged { write(report.line.json + "\n") }
    case .lines: if report.isLogged { put(line(report)) }
    case .live:
      if let lastDrawn, (clock.now - lastDrawn).seconds < 0.1, report.step != report.totalSteps { return }
      lastDrawn = clock.now
      let text = bar(report) + "  " + line(report)
      // Spaces wipe what a longer line left behind.
      write("\r" + text + String(repeating: " ", count: max(0, liveWidth - text.count)))
      liveWidth = text.count
    }
  }

  private func line(_ report: StepReport) -> String {
    var parts = [
      "step \(report.step)/\(report.totalSteps)", "loss \(Readable.fixed(report.loss, 4))",
      "rate \(Readable.significant(report.learningRate))", "norm \(Readable.significant(report.gradientNorm))",
      "\(Readable.fixed(report.tokensPerSecond, 0)) tokens/s",
    ]
    if let left = timeLeft(report) { parts.append("\(Readable.duration(left)) left") }
    parts.append("peak " + peak)
    return parts.joined(separator: "  ")
  }

  private func bar(_ report: StepReport) -> String {
    let width = 20
    let filled = width * report.step / max(1, report.totalSteps)
    return "[" + String(repeating: "=", count: filled) + String(repeating: " ", count: width - filled) + "]"
  }

  private func timeLeft(_ report: StepReport) -> Double? {
    guard let started, report.step > started.step + 1 else { return nil }
    // The first step starts the clock, so it is not counted.
    let seconds = (clock.now - started.time).seconds / Double(report.step - started.step - 1)
    return seconds * Double(report.totalSteps - report.step)
  }

  private var peak: String {
    let device = Readable.bytes(memory().peak) + " device"
    return ProcessMemory.peak.map { Readable.bytes($0) + " host, " + device } ?? device
  }

  /// A whole line, above the live one.
  private func put(_ text: String) {
    if style == .live, liveWidth > 0 {
      write("\r" + String(repeating: " ", count: liveWidth) + "\r")
      liveWidth = 0
    }
    write(text + "\n")
  }

  /// Ends the live line and says how the run ended.
  public func finish(_ outcome: TrainingOutcome, output: String) {
    guard style != .json else { return }
    if style == .live, liveWidth > 0 {
      write("\n")
      liveWidth = 0
    }
    var text: String
    switch outcome.reason {
    case .completed: text = "done: \(outcome.step) steps"
    case .patience: text = "stopped after step \(outcome.step): validation got no better"
    case .timeLimit: text = "stopped after step \(outcome.step): time is up"
    case .interrupted: text = "interrupted after step \(outcome.step); --resume goes on"
    }
    text += " in \(Readable.duration(outcome.elapsedSeconds)), \(Readable.fixed(outcome.tokensPerSecond, 0)) tokens/s"
    if let best = outcome.best {
      text += ", best validation loss \(Readable.fixed(best.loss, 4)) at step \(best.step)"
      if let first = outcome.initialValidationLoss { text += " (\(Readable.fixed(first, 4)) before)" }
    }
    write(text + "\n")
    if outcome.reason != .interrupted { write("written to \(output)\n") }
  }
}
