import Compute
import Foundation
import LanguageModels
import PromptTuning
import TestSupport
import Testing

@testable import Training

/// A run that is killed at any moment and resumed ends with the same bytes as one that was not.
@Suite struct ResumptionTests {
  /// Thrown instead of a file operation, and from then on: the process is dead.
  struct Killed: Error {}

  /// Steps of a run.
  private static let length = 4

  private static func options(_ steps: Int = length) -> TrainingOptions {
    var options = TrainingOptions()
    options.batchSize = 2
    options.length = .steps(steps)
    options.learningRate = 0.02
    options.seed = 7
    options.logEvery = 1
    options.validateEvery = 2
    options.saveEvery = 2
    options.keep = 2
    return options
  }

  /// One sitting; `dyingAt` is the number of the file operation that does not happen any more.
  private static func sit(
    _ path: String, on backend: any ComputeBackend, resumes: Bool, dyingAt: Int? = nil, trainsModel: Bool = false,
    options: TrainingOptions = options(), interruptedAfter: Int? = nil
  ) throws -> (outcome: TrainingOutcome?, operations: Int) {
    let setup = try Setup(backend, trainsModel: trainsModel, hasPrompt: !trainsModel)
    let data = try EncodedExamples(Array(setup.examples[..<7]), encoder: setup.encoder)
    let validation = try EncodedExamples(Array(setup.examples[7..<10]), encoder: setup.encoder)
    let trainer = Trainer(setup.prompted, data: data, validation: validation, options: options)
    let folder = try RunFolder(path: path, resumes: resumes)
    var operations = 0
    folder.beforeOperation = { _ in
      operations += 1
      if let dyingAt, operations >= dyingAt { throw Killed() }
    }
    var steps = 0
    trainer.onEvent = { if case .step = $0 { steps += 1 } }
    if let interruptedAfter { trainer.isInterrupted = { steps >= interruptedAfter } }
    do {
      let outcome = try trainer.run(in: folder, files: setup.files, configuration: "seed: 7\n")
      return (outcome, operations)
    } catch is Killed {
      return (nil, operations)
    }
  }

  /// The files of a finished run that must not depend on how it came about.
  private static func contents(_ path: String) throws -> [String: Data] {
    var result: [String: Data] = [:]
    let url = URL(fileURLWithPath: path)
    for case let name as String in FileManager.default.enumerator(atPath: path) ?? .init() {
      var isFolder: ObjCBool = false
      let file = url.appendingPathComponent(name)
      _ = FileManager.default.fileExists(atPath: file.path, isDirectory: &isFolder)
      guard !isFolder.boolValue, !name.hasSuffix("trainer_state.json") else { continue }
      result[name] = try Data(contentsOf: file)
    }
    result["metrics.jsonl"] = try metrics(path)
    return result
  }

  /// The log without speeds.
  private static func metrics(_ path: String) throws -> Data {
    let text = try String(
      contentsOf: URL(fileURLWithPath: path).appendingPathComponent("metrics.jsonl"), encoding: .utf8)
    let lines = text.split(separator: "\n").map { line in
      line.range(of: ", \"tokens_per_second\"").map { String(line[..<$0.lowerBound]) } ?? String(line)
    }
    return Data(lines.joined(separator: "\n").utf8)
  }

  private static func expectSame(_ got: [String: Data], _ expected: [String: Data], _ comment: String) {
    // Which earlier states are still there depends on where the run was cut; `last` and what is exported does not.
    let shown = { (name: String) in !name.hasPrefix("step-") }
    #expect(Set(got.keys.filter(shown)) == Set(expected.keys.filter(shown)), "\(comment)")
    for (name, bytes) in expected where shown(name) {
      guard got[name] == bytes else {
        Issue.record("\(comment): \(name) differs")
        continue
      }
    }
  }

  @Test func `a kill at any file operation`() throws {
    let backend = try Backends.cpu.make()
    let folder = try TemporaryFolder()
    let whole = folder.path("whole")
    let total = try Self.sit(whole, on: backend, resumes: false).operations
    let expected = try Self.contents(whole)
    #expect(expected["adapter_model.safetensors"] != nil && total > 30)
    for operation in 1...total {
      let path = folder.path("killed-\(operation)")
      let first = try Self.sit(path, on: backend, resumes: false, dyingAt: operation)
      #expect(first.outcome == nil)
      // Now and then a second kill, while the first is being recovered from.
      if operation % 3 == 0 {
        _ = try Self.sit(path, on: backend, resumes: true, dyingAt: operation % 7 + 1)
      }
      let second = try Self.sit(path, on: backend, resumes: true)
      #expect(second.outcome?.reason == .completed && second.outcome?.step == Self.length)
      Self.expectSame(try Self.contents(path), expected, "killed at operation \(operation)")
      try FileManager.default.removeItem(atPath: path)
    }
  }

  @Test(arguments: Backends.available, [false, true])
  func `an interrupt after every step`(_ device: TestBackend, _ trainsModel: Bool) throws {
    let backend = try device.make()
    let folder = try TemporaryFolder()
    _ = try Self.sit(folder.path("whole"), on: backend, resumes: false, trainsModel: trainsModel)
    let path = folder.path("interrupted")
    var sittings = 0
    while true {
      sittings += 1
      let sitting = try Self.sit(
        path, on: backend, resumes: sittings > 1, trainsModel: trainsModel, interruptedAfter: 1)
      guard sitting.outcome?.reason == .interrupted else { break }
      let state = try TrainingState.read(URL(fileURLWithPath: path).appendingPathComponent("last/trainer_state.json"))
      #expect(state.step == sittings && sittings <= Self.length)
    }
    _ = try Self.sit(path, on: backend, resumes: true, trainsModel: trainsModel)
    #expect(sittings >= Self.length)
    Self.expectSame(try Self.contents(path), try Self.contents(folder.path("whole")), "interrupted")
  }

  @Test func `a tuned model can be opened`() throws {
    let folder = try TemporaryFolder()
    _ = try Self.sit(folder.path("run"), on: Backends.cpu.make(), resumes: false, trainsModel: true)
    let directory = try ModelDirectory(folder.file("run"))
    let model = try directory.load(on: Backends.cpu.make())
    #expect(model.facts.layers == 2)
    #expect(FileManager.default.fileExists(atPath: folder.path("run/tokenizer.json")))
  }

  @Test func `earlier states are kept and the oldest dropped`() throws {
    let folder = try TemporaryFolder()
    var options = Self.options(7)
    options.validateEvery = 0
    options.saveEvery = 1
    options.keep = 3
    _ = try Self.sit(folder.path("run"), on: Backends.cpu.make(), resumes: false, options: options)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path("run"))
    #expect(Set(names.filter { $0.hasPrefix("step-") }) == ["step-000005", "step-000006"])
  }

  @Test func `folders that must not be touched`() throws {
    let folder = try TemporaryFolder()
    try folder.write("mine", to: "notes.txt")
    #expect(throws: TrainingError.self) { _ = try RunFolder(path: folder.url.path, resumes: false) }
    #expect(throws: TrainingError.self) { _ = try RunFolder(path: folder.url.path, resumes: true) }
    #expect(throws: TrainingError.self) { _ = try RunFolder(path: folder.path("notes.txt"), resumes: false) }
    #expect(throws: TrainingError.self) { _ = try RunFolder(path: folder.path("notes.txt/run"), resumes: false) }
    _ = try RunFolder(path: folder.path("new/run"), resumes: true)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["notes.txt"])
  }

  @Test func `other data or another seed is refused`() throws {
    let folder = try TemporaryFolder()
    let backend = try Backends.cpu.make()
    _ = try Self.sit(folder.path("run"), on: backend, resumes: false)
    var options = Self.options()
    options.seed = 8
    #expect(throws: TrainingError.self) {
      _ = try Self.sit(folder.path("run"), on: backend, resumes: true, options: options)
    }
    let setup = try Setup(backend)
    let trainer = try Trainer(setup.prompted, data: setup.data, options: Self.options())
    #expect(throws: TrainingError.self) {
      _ = try trainer.run(
        in: RunFolder(path: folder.path("run"), resumes: true), files: setup.files, configuration: "")
    }
  }
}
