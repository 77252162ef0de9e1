import Foundation

extension RunConfiguration {
  /// Keys that may change when a run goes on: places, the device, what it keeps in memory, and when things happen or end.
  private static let changeable: Set<String> = [
    "model", "config-json", "tokenizer", "data", "validation", "output", "demonstration-data", "device",
    "strict-device", "recompute", "steps", "epochs", "log-every", "validate-every", "patience", "keep", "save-every",
    "time-limit",
  ]

  /// Checks that a run in a folder may go on with these settings.
  ///
  /// - Throws: `TrainingError.output` naming the first key that differs from the folder's `config.yaml`.
  public func checkResumes(_ folder: RunFolder) throws {
    let url = folder.url.appendingPathComponent(RunFolder.configurationName)
    guard try folder.resumableState() != nil, FileManager.default.fileExists(atPath: url.path) else { return }
    var earlier = RunConfiguration()
    try earlier.apply(ConfigurationLayer(yaml: url.path))
    for key in ConfigurationKey.all where !Self.changeable.contains(key.name) {
      let (before, now) = (key.get(earlier), key.get(self))
      guard before != now else { continue }
      func show(_ value: ConfigurationValue?) -> String { value.map { Self.text($0) } ?? "not set" }
      throw TrainingError.output(
        path: url.path,
        reason: "'\(key.name)' is \(show(before)) there and \(show(now)) now; a run goes on with the same settings")
    }
  }
}
