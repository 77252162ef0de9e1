import Foundation
import Testing

/// What a run of the program left behind.
struct CommandResult {
  var status: Int32
  var output: String
  var errors: String

  /// The lines of standard error.
  var errorLines: [Substring] { errors.split(separator: "\n") }
}

/// Runs the built program as a user does.
struct CommandRunner {
  private final class Marker {}

  /// The program beside the test bundle.
  static var program: URL {
    get throws {
      let bundle = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") } ?? Bundle(for: Marker.self)
      let candidates = [bundle.bundleURL.deletingLastPathComponent(), bundle.bundleURL]
        .map { $0.appendingPathComponent("softprompt") }
      return try #require(candidates.first { FileManager.default.isExecutableFile(atPath: $0.path) })
    }
  }

  /// A tiny model with a tokenizer, and examples.
  static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("TrainingTests/Fixtures")

  /// Starts a run that the test will stop; what it prints goes nowhere, so that it never waits for a reader.
  static func start(_ arguments: [String]) throws -> Process {
    let process = Process()
    process.executableURL = try program
    process.arguments = arguments
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    try process.run()
    return process
  }

  /// Runs to the end.
  static func run(_ arguments: [String], input: String? = nil) throws -> CommandResult {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("command-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let files = ["in", "out", "err"].map { folder.appendingPathComponent($0) }
    for file in files { try Data((file.lastPathComponent == "in" ? input ?? "" : "").utf8).write(to: file) }
    let process = Process()
    process.executableURL = try program
    process.arguments = arguments
    process.standardInput = try FileHandle(forReadingFrom: files[0])
    process.standardOutput = try FileHandle(forWritingTo: files[1])
    process.standardError = try FileHandle(forWritingTo: files[2])
    try process.run()
    process.waitUntilExit()
    return CommandResult(
      status: process.terminationStatus, output: try String(contentsOf: files[1], encoding: .utf8),
      errors: try String(contentsOf: files[2], encoding: .utf8))
  }
}
