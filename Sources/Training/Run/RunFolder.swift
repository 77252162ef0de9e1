import Foundation
import LanguageModels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The folder of a run: configuration, metrics, the last and the best state, and in the end what was trained.
///
///     config.yaml      the merged configuration
///     metrics.jsonl    a line per logged step and per validation
///     last/            what was trained so far, the optimizer's memory, `trainer_state.json`
///     best/            what was trained when the validation loss was lowest, `best.json`
///     step-000100/     earlier states, as many as are kept
///
/// `last/` and `best/` are replaced as a whole; a kill at any moment leaves a folder from which the run can go on.
public final class RunFolder {
  public static let configurationName = "config.yaml"
  public static let metricsName = "metrics.jsonl"
  static let stateName = "trainer_state.json"
  static let optimizerName = "optimizer.safetensors"
  static let bestName = "best.json"

  public let url: URL
  /// The run in this folder is to go on.
  public let resumes: Bool
  /// Called with a word for the operation before each one that changes files; see `SafeFolder`.
  var beforeOperation: (String) throws -> Void = { _ in }
  private(set) var metrics: MetricsLog?

  /// Looks at the folder without changing anything.
  ///
  /// - Throws: `TrainingError.output` if it is a file, holds something and the run is not to be resumed, or is to be
  ///   resumed and holds no run; `.unwritable` if it cannot be written to.
  public init(path: String, resumes: Bool) throws {
    url = URL(fileURLWithPath: path)
    self.resumes = resumes
    let files = FileManager.default
    var isFolder: ObjCBool = false
    if files.fileExists(atPath: path, isDirectory: &isFolder) {
      guard isFolder.boolValue else { throw TrainingError.output(path: path, reason: "it is a file, not a folder") }
      guard let contents = try? files.contentsOfDirectory(atPath: path) else {
        throw TrainingError.output(path: path, reason: "the folder cannot be read")
      }
      if !contents.isEmpty {
        guard resumes else {
          throw TrainingError.output(
            path: path, reason: "the folder is not empty; choose another one, or --resume to go on with its run")
        }
        // The configuration is the first file of a run; its half-written form starts with a dot.
        guard contents.contains(where: { $0.contains(Self.configurationName) }) else {
          throw TrainingError.output(path: path, reason: "the folder holds other files and no run to resume")
        }
      }
      guard access(path, W_OK | X_OK) == 0 else {
        throw TrainingError.unwritable(path: path, reason: String(cString: strerror(errno)))
      }
    } else {
      try Self.checkCreatable(url)
    }
  }

  /// The nearest folder above that exists must let us create folders in it.
  private static func checkCreatable(_ url: URL) throws {
    var parent = url.deletingLastPathComponent()
    while !FileManager.default.fileExists(atPath: parent.path), parent.path != "/" { parent.deleteLastPathComponent() }
    var isFolder: ObjCBool = false
    _ = FileManager.default.fileExists(atPath: parent.path, isDirectory: &isFolder)
    guard isFolder.boolValue else {
      throw TrainingError.unwritable(path: url.path, reason: "\(parent.path) is not a folder")
    }
    guard access(parent.path, W_OK | X_OK) == 0 else {
      throw TrainingError.unwritable(path: url.path, reason: String(cString: strerror(errno)))
    }
  }

  private var last: SafeFolder {
    SafeFolder(parent: url, name: "last", marker: Self.stateName, beforeOperation: beforeOperation)
  }

  private var best: SafeFolder {
    SafeFolder(parent: url, name: "best", marker: Self.bestName, beforeOperation: beforeOperation)
  }

  /// The state that a run in this folder would go on from, without changing anything; nil if it would start anew.
  public func resumableState() throws -> TrainingState? {
    guard resumes else { return nil }
    // The order of `SafeFolder.recover`: a whole new folder wins, the old one is the last resort.
    for name in ["last.new", "last", "last.old"] {
      let file = url.appendingPathComponent(name).appendingPathComponent(Self.stateName)
      if FileManager.default.fileExists(atPath: file.path) { return try TrainingState.read(file) }
    }
    return nil
  }

  /// Creates the folder or tidies up after a kill, writes the configuration, and opens the log.
  ///
  /// - Parameter configuration: the text of `config.yaml`.
  /// - Returns: the state to go on from, nil at the beginning.
  func open(configuration: String) throws -> TrainingState? {
    try beforeOperation("create \(url.lastPathComponent)")
    do {
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    } catch {
      throw TrainingError.unwritable(path: url.path, reason: "the folder cannot be created")
    }
    try removeTemporaryFiles()
    try beforeOperation("write \(Self.configurationName)")
    try AtomicFile.write(Data(configuration.utf8), to: url.appendingPathComponent(Self.configurationName))
    try last.recover()
    try best.recover()
    let state = last.exists ? try TrainingState.read(last.url.appendingPathComponent(Self.stateName)) : nil
    // A best state from after the one we go on from, when that one knew of none, would outlive its run.
    if state?.best == nil { try SafeFolder.discard(best.url, marker: Self.bestName, beforeOperation) }
    try beforeOperation("truncate \(Self.metricsName)")
    metrics = try MetricsLog(
      path: url.appendingPathComponent(Self.metricsName).path, keeping: state?.metricsBytes ?? 0)
    return state
  }

  /// Files that a kill left half-written.
  private func removeTemporaryFiles() throws {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
    where name.hasPrefix(".") && name.contains(".writing-") {
      let file = url.appendingPathComponent(name)
      guard unlink(file.path) == 0 else { throw SafeFolder.failure(file) }
    }
  }

  // MARK: - States

  /// Takes parameters and the optimizer's memory back from `last/`.
  func restore(_ files: any TrainedFiles, _ optimizer: Optimizer) throws {
    try files.restore(from: last.url)
    try optimizer.restore(from: SafetensorsFile(url: last.url.appendingPathComponent(Self.optimizerName)))
  }

  /// Replaces `last/`.
  ///
  /// - Parameter keep: how many states to keep, this one among them.
  func saveLast(_ state: TrainingState, _ files: any TrainedFiles, _ optimizer: Optimizer, keep: Int) throws {
    try metrics?.synchronize()
    var retired: URL?
    if keep > 1, let previous = try? TrainingState.read(last.url.appendingPathComponent(Self.stateName)),
      previous.step < state.step
    {
      retired = url.appendingPathComponent(Self.name(ofStep: previous.step))
    }
    try last.replace(
      {
        try files.write(to: $0)
        try files.writeState(to: $0)
        try beforeOperation("write \(Self.optimizerName)")
        try SafetensorsWriter.write(optimizer.items, to: $0.appendingPathComponent(Self.optimizerName))
      }, markerContents: try state.json(), retired: retired)
    let kept = earlierStates()
    for name in kept.dropLast(max(0, keep - 1)) {
      try SafeFolder.discard(url.appendingPathComponent(name), marker: Self.stateName, beforeOperation)
    }
  }

  private static func name(ofStep step: Int) -> String {
    let digits = String(step)
    return "step-" + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
  }

  private func earlierStates() -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
    return names.compactMap { name in
      name.hasPrefix("step-") ? Int(name.dropFirst(5)).map { (step: $0, name: name) } : nil
    }.sorted { $0.step < $1.step }.map(\.name)
  }

  /// Replaces `best/`.
  func saveBest(_ best: TrainingState.Best, _ files: any TrainedFiles) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try self.best.replace({ try files.write(to: $0) }, markerContents: try encoder.encode(best))
  }

  /// Puts what was trained into the folder itself: the best where there is one, else the last.
  func export() throws {
    let source = best.exists ? best.url : last.url
    let internals = [Self.stateName, Self.optimizerName, Self.bestName, FeatureRecord.fileName]
    let names = try FileManager.default.contentsOfDirectory(atPath: source.path).filter { !internals.contains($0) }
    // The configuration comes last, as in the folders themselves: a folder that has it is whole.
    let isLate = { (name: String) in name == "adapter_config.json" || name == "config.json" }
    for name in names.sorted(by: { (isLate($0) ? 1 : 0, $0) < (isLate($1) ? 1 : 0, $1) }) {
      try beforeOperation("export \(name)")
      let contents: Data
      do {
        contents = try Data(contentsOf: source.appendingPathComponent(name), options: .alwaysMapped)
      } catch {
        throw TrainingError.unreadable(path: source.appendingPathComponent(name).path, reason: "it cannot be mapped")
      }
      try AtomicFile.write(contents, to: url.appendingPathComponent(name))
    }
  }
}
