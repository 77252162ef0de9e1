import PromptTuning

/// The examples of a run, read as its configuration says.
public struct TaskData: Sendable {
  /// What to train on, one file after the other.
  public var examples: [Example]
  public var validation: [Example]?
  /// Examples of each task among those of the validation; nil where they are of one.
  public var validationCounts: [Int]?
  /// Nil for plain rows of inputs and targets, and for files with tasks of their own; its labels are settled.
  public var task: TaskFormat?
  /// Nil for a single file.
  public var mixture: Mixture?
  /// Files that a multitask prompt tells apart; 1 for any other prompt.
  public var taskCount: Int
  /// The files that the examples come from.
  public var paths: [String]

  /// The files, for people.
  public var description: String { paths.joined(separator: ", ") }

  /// Reads the data, or the files of the mixture, and the validation data.
  ///
  /// - Parameter readsRows: rows have labels or fields even if no option says so.
  /// - Throws: `TrainingError` or `MethodError` naming file and line, or the option.
  public init(_ configuration: RunConfiguration, readsRows: Bool = false) throws {
    let entries = try configuration.mix.map { try MixtureEntry(argument: $0) }
    paths = try Self.paths(configuration, entries)
    let common = try configuration.taskFormat(readsRows: readsRows)
    let taskCount = try configuration.resolvedMethod().prompt == .multitask ? paths.count : 1
    self.taskCount = taskCount
    let validationPaths = try Self.validationPaths(configuration, taskCount: taskCount)
    var files: [[Example]]
    var validationFiles: [[Example]]
    if entries.contains(where: { $0.preset != nil }) {
      files = try Self.ownTasks(entries, common, configuration)
      validationFiles = try validationPaths.enumerated().map { number, path in
        // A file for each task is in the words of that task.
        var task = taskCount > 1 ? try entries[number].preset.map { try Preset.named($0).format } ?? common : common
        return try ExampleFile.read(path, for: &task).map(\.plain)
      }
    } else if var format = common {
      let rows = try paths.map { try ExampleFile.rows($0, format.rows) }
      try format.settleLabels(from: Array(rows.joined()))
      files = try rows.map { try format.inWords($0) }
      if let perLabel = configuration.examplesPerLabel {
        files = try zip(files, paths).map {
          try Self.few(perLabel, of: $0, format, seed: configuration.options.seed, file: $1)
        }
      }
      validationFiles = try validationPaths.map { try format.inWords(try ExampleFile.rows($0, format.rows)) }
      task = format
    } else {
      files = try paths.map { try ExampleFile.read($0) }
      validationFiles = try validationPaths.map { try ExampleFile.read($0) }
    }
    examples = Array(files.joined())
    if !validationFiles.isEmpty { validation = Array(validationFiles.joined()) }
    if validationFiles.count > 1 { validationCounts = validationFiles.map(\.count) }
    if !entries.isEmpty { mixture = try Mixture(counts: files.map(\.count), weights: entries.map(\.weight)) }
  }

  /// The chosen line numbers, from 1, each once.
  public var lines: [Int] {
    var lines: [Int] = []
    for (place, example) in examples.enumerated()
    where place == 0 || example.part == 0 || examples[place - 1].source != example.source {
      lines.append(example.source.line)
    }
    return lines
  }

  /// The files of tasks that differ, each in its own words; what is left of them is inputs and targets.
  private static func ownTasks(
    _ entries: [MixtureEntry], _ common: TaskFormat?, _ configuration: RunConfiguration
  ) throws -> [[Example]] {
    guard try configuration.resolvedMethod().head.kind.answers == .text else {
      throw MethodError.refused("--mix of files with presets of their own needs --head language-model")
    }
    return try entries.map { entry in
      var task = try entry.preset.map { try Preset.named($0).format } ?? common
      var examples = try ExampleFile.read(entry.path, for: &task)
      if let perLabel = configuration.examplesPerLabel {
        guard let task else { throw withoutLabels(entry.path) }
        examples = try few(perLabel, of: examples, task, seed: configuration.options.seed, file: entry.path)
      }
      return examples.map(\.plain)
    }
  }

  private static func paths(_ configuration: RunConfiguration, _ entries: [MixtureEntry]) throws -> [String] {
    guard entries.isEmpty else {
      guard configuration.data.isEmpty else {
        throw MethodError.refused("--mix takes the place of --data; they exclude each other")
      }
      return entries.map(\.path)
    }
    guard let path = configuration.data.first else { throw MethodError.refused("--data is missing") }
    guard configuration.data.count == 1 else {
      throw MethodError.refused("--data takes one file, not \(configuration.data.count)")
    }
    return [path]
  }

  private static func validationPaths(_ configuration: RunConfiguration, taskCount: Int) throws -> [String] {
    let paths = configuration.validation
    guard paths.isEmpty || paths.count == taskCount else {
      throw MethodError.refused(
        taskCount == 1
          ? "--validation takes one file, not \(paths.count)"
          : "--validation has \(paths.count) files, a multitask prompt needs one for each of the \(taskCount) of --mix")
    }
    return paths
  }

  private static func withoutLabels(_ file: String) -> MethodError {
    .refused("--examples-per-label needs labels that are classes, and \(file) has none")
  }

  private static func few(
    _ perLabel: Int, of examples: [Example], _ format: TaskFormat, seed: UInt64, file: String
  ) throws -> [Example] {
    guard format.rows != .words else {
      throw MethodError.refused("--examples-per-label counts examples with one label; in \(file) each word has one")
    }
    guard !format.labelsAreValues, let labels = format.labels else { throw withoutLabels(file) }
    return try FewShotSample.choose(perLabel, of: examples, labels: labels, seed: seed, file: file)
  }
}

extension Example {
  /// Its input and targets alone.
  fileprivate var plain: Example { Example(input: input, targets: targets, source: source, part: part) }
}
