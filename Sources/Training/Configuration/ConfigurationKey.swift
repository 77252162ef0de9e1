import Autodiff
import LanguageModels
import PromptTuning

/// A key of a configuration: its name, and how its value is checked, stored and written.
struct ConfigurationKey: Sendable {
  let name: String
  /// Stores a value; returns what is wrong with it, if anything.
  let set: @Sendable (inout RunConfiguration, ConfigurationValue) -> String?
  /// The value to write; nil where there is none.
  let get: @Sendable (RunConfiguration) -> ConfigurationValue?

  static let names = all.map(\.name) + [Recipe.key]

  static func named(_ name: String) -> ConfigurationKey? { all.first { $0.name == name } }

  /// In the order in which they are written.
  static let all = general + prompts

  private static let general: [ConfigurationKey] = [
    text("model", \.model), text("config-json", \.configJSON), text("tokenizer", \.tokenizer),
    texts("data", \.data), texts("validation", \.validation),
    integer("sequence-length", \.sequenceLength, atLeast: 1), text("output", \.output),
    text("method", \.method), choice("prompt", \.prompt), integer("prompt-length", \.promptLength, atLeast: 1),
    text("prompt-init", \.promptInit), choice("head", \.head), choice("head-token", \.headToken),
    number("head-dropout", \.headDropout, atLeast: 0, below: 1),
    choice("trainable", \.trainable),
    choice("demonstrations", \.demonstrations), integer("shots", \.shots, atLeast: 0),
    text("demonstration-data", \.demonstrationData), text("retriever", \.retriever), truncation,
    integer("max-length", \.maxLength, atLeast: 2),
    text("preset", \.preset), text("template", \.template), text("template-file", \.templateFile),
    integer("template-count", \.templateCount, atLeast: 1),
    templateHammingWeight,
    text("inference-template", \.inferenceTemplate), names("labels", \.labels),
    names("label-words", \.labelWords), integer("examples-per-label", \.examplesPerLabel, atLeast: 1),
    texts("mix", \.mix),
    text("device", \.device), boolean("strict-device", \.strictDevice), choice("weights", \.weights),
    choice("compute-type", \.computeType),
    integer("batch-size", \.options.batchSize, atLeast: 1), integer("accumulate", \.options.accumulate, atLeast: 1),
    boolean("recompute", \.options.recomputesLayers), without,
    steps, epochs, boolean("shuffle", \.options.shuffles), noShuffle, seed,
    choice("optimizer", \.options.optimizer), learningRate,
    number("beta1", \.options.beta1, atLeast: 0, below: 1), number("beta2", \.options.beta2, atLeast: 0, below: 1),
    number("epsilon", \.options.epsilon, atLeast: 0), number("weight-decay", \.options.weightDecay, atLeast: 0),
    number("momentum", \.options.momentum, atLeast: 0, below: 1),
    number("adafactor-decay", \.options.adafactor.decay, atLeast: 0),
    number("adafactor-clip-threshold", \.options.adafactor.clipThreshold, atLeast: 0),
    number("adafactor-gradient-epsilon", \.options.adafactor.gradientEpsilon, atLeast: 0),
    number("adafactor-parameter-epsilon", \.options.adafactor.parameterEpsilon, atLeast: 0),
    boolean("adafactor-scale-parameter", \.options.adafactor.scalesByParameter),
    choice("schedule", \.options.schedule), integer("warmup", \.options.warmupSteps, atLeast: 0),
    number("clip-norm", \.options.clipNorm, atLeast: 0), integer("log-every", \.options.logEvery, atLeast: 1),
    integer("validate-every", \.options.validateEvery, atLeast: 0), choice("best-metric", \.options.bestMetric),
    integer("patience", \.options.patience, atLeast: 0),
    integer("keep", \.options.keep, atLeast: 1), integer("save-every", \.options.saveEvery, atLeast: 0),
    number("time-limit", \.options.timeLimit, atLeast: 0),
  ]

  /// Exact savings that are taken away.
  private static let without = ConfigurationKey(
    name: "without",
    set: { configuration, value in
      var names: [String] = []
      switch value {
      case .list(let list): names = list
      case .string(let text): names = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      default: return "must be a list, not \(value.kind)"
      }
      guard let savings = ExactSavings(without: names) else {
        return "must be some of \(ExactSavings.named.map(\.name).joined(separator: ", "))"
      }
      configuration.options.savings = savings
      return nil
    },
    get: { $0.options.savings == .all ? nil : .list($0.options.savings.missing) })

  // MARK: - Kinds of keys

  typealias Path<Value> = WritableKeyPath<RunConfiguration, Value> & Sendable

  static func text(_ name: String, _ path: Path<String>) -> ConfigurationKey {
    ConfigurationKey(
      name: name,
      set: {
        guard let string = string($1) else { return "must be a string, not \($1.kind)" }
        $0[keyPath: path] = string
        return nil
      }, get: { .string($0[keyPath: path]) })
  }

  static func text(_ name: String, _ path: Path<String?>) -> ConfigurationKey {
    ConfigurationKey(
      name: name,
      set: {
        guard let string = string($1) else { return "must be a string, not \($1.kind)" }
        $0[keyPath: path] = string
        return nil
      }, get: { $0[keyPath: path].map(ConfigurationValue.string) })
  }

  static func texts(_ name: String, _ path: Path<[String]>) -> ConfigurationKey {
    ConfigurationKey(
      name: name,
      set: {
        switch $1 {
        case .list(let items): $0[keyPath: path] = items
        default:
          guard let string = string($1) else { return "must be a string or a list of strings, not \($1.kind)" }
          $0[keyPath: path] = [string]
        }
        return nil
      },
      get: {
        let items = $0[keyPath: path]
        return items.isEmpty ? nil : items.count == 1 ? .string(items[0]) : .list(items)
      })
  }

  /// A list, or its items with commas between them.
  static func names(_ name: String, _ path: Path<[String]>) -> ConfigurationKey {
    ConfigurationKey(
      name: name,
      set: {
        let items: [String]
        switch $1 {
        case .list(let list): items = list
        case .string(let text): items = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        default: return "must be a list, not \($1.kind)"
        }
        guard !items.isEmpty, items.allSatisfy({ !$0.isEmpty }) else { return "has an empty item" }
        $0[keyPath: path] = items
        return nil
      },
      get: {
        let items = $0[keyPath: path]
        return items.isEmpty ? nil : .list(items)
      })
  }

  /// Names of folders may look like numbers.
  static func string(_ value: ConfigurationValue) -> String? {
    switch value {
    case .string(let string): string
    case .integer(let number): String(number)
    default: nil
    }
  }

  static func integer(_ name: String, _ path: Path<Int>, atLeast minimum: Int) -> ConfigurationKey {
    ConfigurationKey(
      name: name,
      set: { configuration, value in
        checked(value, atLeast: minimum) { configuration[keyPath: path] = $0 }
      }, get: { .integer($0[keyPath: path]) })
  }

  static func integer(_ name: String, _ path: Path<Int?>, atLeast minimum: Int) -> ConfigurationKey {
    ConfigurationKey(
      name: name,
      set: { configuration, value in
        checked(value, atLeast: minimum) { configuration[keyPath: path] = $0 }
      }, get: { $0[keyPath: path].map(ConfigurationValue.integer) })
  }

  static func checked(_ value: ConfigurationValue, atLeast minimum: Int, _ store: (Int) -> Void) -> String? {
    guard case .integer(let number) = value else { return "must be a whole number, not \(value.kind)" }
    guard number >= minimum else { return "is \(number), at least \(minimum) is needed" }
    store(number)
    return nil
  }

  static func number(
    _ name: String, _ path: Path<Double>, atLeast minimum: Double, below limit: Double = .infinity
  ) -> ConfigurationKey {
    ConfigurationKey(
      name: name,
      set: { configuration, value in
        checked(value, atLeast: minimum, below: limit) { configuration[keyPath: path] = $0 }
      }, get: { .number($0[keyPath: path]) })
  }

  static func number(
    _ name: String, _ path: Path<Double?>, atLeast minimum: Double, below limit: Double = .infinity
  ) -> ConfigurationKey {
    ConfigurationKey(
      name: name,
      set: { configuration, value in
        checked(value, atLeast: minimum, below: limit) { configuration[keyPath: path] = $0 }
      }, get: { $0[keyPath: path].map(ConfigurationValue.number) })
  }

  static func checked(
    _ value: ConfigurationValue, atLeast minimum: Double, below limit: Double = .infinity, _ store: (Double) -> Void
  ) -> String? {
    let number: Double
    switch value {
    case .integer(let whole): number = Double(whole)
    case .number(let value): number = value
    default: return "must be a number, not \(value.kind)"
    }
    guard number.isFinite, number >= minimum, number < limit else {
      return "is \(number), it must be at least \(minimum)" + (limit.isFinite ? " and below \(limit)" : "")
    }
    store(number)
    return nil
  }

  static func boolean(_ name: String, _ path: Path<Bool>) -> ConfigurationKey {
    ConfigurationKey(
      name: name,
      set: {
        guard case .boolean(let truth) = $1 else { return "must be true or false, not \($1.kind)" }
        $0[keyPath: path] = truth
        return nil
      }, get: { .boolean($0[keyPath: path]) })
  }

  static func choice<Choice: RawRepresentable & CaseIterable & Sendable>(_ name: String, _ path: Path<Choice>)
    -> ConfigurationKey where Choice.RawValue == String
  {
    ConfigurationKey(
      name: name, set: { configuration, value in chosen(value) { configuration[keyPath: path] = $0 } },
      get: { .string($0[keyPath: path].rawValue) })
  }

  static func choice<Choice: RawRepresentable & CaseIterable & Sendable>(_ name: String, _ path: Path<Choice?>)
    -> ConfigurationKey where Choice.RawValue == String
  {
    ConfigurationKey(
      name: name, set: { configuration, value in chosen(value) { configuration[keyPath: path] = $0 } },
      get: { $0[keyPath: path].map { .string($0.rawValue) } })
  }

  static func chosen<Choice: RawRepresentable & CaseIterable>(
    _ value: ConfigurationValue, _ store: (Choice) -> Void
  ) -> String? where Choice.RawValue == String {
    let names = Choice.allCases.map(\.rawValue)
    guard case .string(let name) = value, let choice = Choice(rawValue: name) else {
      var got = ""
      if case .string(let name) = value { got = " ('\(name)' is not)" }
      return "must be one of \(names.joined(separator: ", "))" + got
    }
    store(choice)
    return nil
  }

  // MARK: - Keys of their own kind

  private static let truncation = ConfigurationKey(
    name: "truncate",
    set: {
      let words: [String]
      switch $1 {
      case .list(let items): words = items
      case .string(let text): words = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      default: return "must be a list of \(Truncation.names.map(\.name).joined(separator: ", "))"
      }
      var result: Truncation = []
      for word in words {
        guard let known = Truncation.names.first(where: { $0.name == word }) else {
          return "names '\(word)'; known are \(Truncation.names.map(\.name).joined(separator: ", "))"
        }
        result.insert(known.value)
      }
      $0.truncate = result
      return nil
    },
    get: { configuration in
      configuration.truncate.isEmpty
        ? nil : .list(Truncation.names.filter { configuration.truncate.contains($0.value) }.map(\.name))
    })

  /// Written only where it was changed: few runs have a pool of templates.
  private static let templateHammingWeight = ConfigurationKey(
    name: "template-hamming-weight",
    set: { configuration, value in checked(value, atLeast: 0) { configuration.templateHammingWeight = $0 } },
    get: {
      let weight = $0.templateHammingWeight
      return weight == RunConfiguration().templateHammingWeight ? nil : .number(weight)
    })

  private static let learningRate = ConfigurationKey(
    name: "learning-rate",
    set: { configuration, value in checked(value, atLeast: 0) { configuration.learningRate = $0 } },
    get: { $0.learningRate.map(ConfigurationValue.number) })

  private static let steps = ConfigurationKey(
    name: "steps",
    set: { configuration, value in
      checked(value, atLeast: 1) { configuration.options.length = .steps($0) }
    },
    get: { if case .steps(let count) = $0.options.length { .integer(count) } else { nil } })

  private static let epochs = ConfigurationKey(
    name: "epochs",
    set: { configuration, value in
      checked(value, atLeast: 1) { configuration.options.length = .epochs($0) }
    },
    get: { if case .epochs(let count) = $0.options.length { .integer(count) } else { nil } })

  /// The form that the option has; `shuffle` is what is written.
  private static let noShuffle = ConfigurationKey(
    name: "no-shuffle",
    set: {
      guard case .boolean(let truth) = $1 else { return "must be true or false, not \($1.kind)" }
      $0.options.shuffles = !truth
      return nil
    }, get: { _ in nil })

  private static let seed = ConfigurationKey(
    name: "seed",
    set: { configuration, value in
      checked(value, atLeast: 0) { configuration.options.seed = UInt64($0) }
    }, get: { .integer(Int(truncatingIfNeeded: $0.options.seed)) })
}
