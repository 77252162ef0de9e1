import PromptTuning

/// What the options say about a task; nil stands for what the preset, or an adapter, says.
public struct TaskOptions: Sendable, Hashable {
  public var preset: String?
  public var template: String?
  public var templateFile: String?
  public var templateCount: Int?
  public var templateHammingWeight: Double
  public var labels: [String]
  public var labelWords: [String]
  public var inferenceTemplate: String?

  public init(
    preset: String? = nil, template: String? = nil, templateFile: String? = nil, templateCount: Int? = nil,
    templateHammingWeight: Double = 0.5, labels: [String] = [], labelWords: [String] = [],
    inferenceTemplate: String? = nil
  ) {
    self.preset = preset
    self.template = template
    self.templateFile = templateFile
    self.templateCount = templateCount
    self.templateHammingWeight = templateHammingWeight
    self.labels = labels
    self.labelWords = labelWords
    self.inferenceTemplate = inferenceTemplate
  }

  /// The task: the preset, or what is known already, with the options over it.
  ///
  /// - Parameters:
  ///   - known: what an adapter remembers.
  ///   - readsRows: rows have labels or fields even if no option says so, as under the head of a classifier.
  /// - Returns: nil for plain rows of inputs and targets.
  /// - Throws: `MethodError` or `TrainingError` naming the option or the file and line.
  public func format(over known: TaskFormat? = nil, readsRows: Bool = false, seed: UInt64 = 0) throws -> TaskFormat? {
    var format = known
    if let preset { format = try Preset.named(preset).format }
    let changed = template != nil || templateFile != nil || !labels.isEmpty || !labelWords.isEmpty
    guard format != nil || changed || readsRows else {
      if templateCount != nil { throw MethodError.refused("--template-count needs --template-file") }
      if inferenceTemplate != nil {
        throw MethodError.refused("--inference-template makes no sense without a template")
      }
      return nil
    }
    var result = format ?? TaskFormat()
    if known == nil || preset != nil { result.seed = seed }
    if let templates = try templates() { result.templates = templates.map(\.source) }
    if !labels.isEmpty { result.labels = labels }
    if !labelWords.isEmpty { result.labelWords = labelWords }
    if let inferenceTemplate {
      result.inferenceTemplate = try InferenceTemplate(argument: inferenceTemplate)
    } else if template != nil || templateFile != nil || preset != nil {
      result.inferenceTemplate = .one(1)
    }
    if let count = try result.pool()?.count {
      _ = try result.inferenceTemplate.places(of: count)
    } else if inferenceTemplate != nil {
      throw MethodError.refused("--inference-template makes no sense without a template")
    }
    try result.checkLabels()
    return result
  }

  /// The templates that the options name; nil where they name none.
  private func templates() throws -> [TextTemplate]? {
    let diversity = try TemplateDiversity(hammingWeight: templateHammingWeight)
    if let template {
      guard templateFile == nil else {
        throw MethodError.refused("--template and --template-file exclude each other")
      }
      guard templateCount == nil else { throw MethodError.refused("--template-count needs --template-file") }
      return [try TextTemplate(template)]
    }
    guard let templateFile else {
      guard templateCount == nil else { throw MethodError.refused("--template-count needs --template-file") }
      return nil
    }
    let templates = try TemplateFile.read(templateFile)
    guard let templateCount else { return templates }
    return try diversity.choose(templateCount, of: templates).map { templates[$0] }
  }
}

extension RunConfiguration {
  public var taskOptions: TaskOptions {
    TaskOptions(
      preset: preset, template: template, templateFile: templateFile, templateCount: templateCount,
      templateHammingWeight: templateHammingWeight, labels: labels, labelWords: labelWords,
      inferenceTemplate: inferenceTemplate)
  }

  /// The task of the run; nil for plain rows of inputs and targets.
  ///
  /// - Parameter readsRows: rows have labels or fields even if no option says so.
  /// - Throws: `MethodError` or `TrainingError` naming the option or the file and line.
  public func taskFormat(readsRows: Bool = false) throws -> TaskFormat? {
    let answers = try resolvedMethod().head.kind.answers
    var format = try taskOptions.format(
      readsRows: readsRows || examplesPerLabel != nil || answers != .text, seed: options.seed)
    if answers == .value {
      if format?.preset == nil || format?.labels == nil { format?.labelsAreValues = true }
      guard format?.labelsAreValues == true else {
        throw MethodError.refused(
          "--head regressor learns numbers, the labels of '\(format?.preset ?? "")' are classes")
      }
    } else if answers == .labels {
      try format?.readWords()
    } else if answers == .label, format?.labelsAreValues == true {
      throw MethodError.refused("the labels of '\(format?.preset ?? "")' are numbers: --head regressor learns them")
    }
    return format
  }

  /// What may be cut: what was chosen, else what the preset says.
  public func resolvedTruncation() throws -> Truncation {
    guard truncate.isEmpty, let preset else { return truncate }
    var truncation = try Preset.named(preset).truncationOptions
    // A template of one's own may have nothing that may be cut; files with tasks of their own are inputs by then.
    let hasOwnTasks = try mix.contains { try MixtureEntry(argument: $0).preset != nil }
    if try hasOwnTasks || taskFormat()?.pool()?.templates.contains(where: \.mayBeCut) != true {
      truncation.subtract([.longestFields, .lastFields])
    }
    return truncation
  }
}
