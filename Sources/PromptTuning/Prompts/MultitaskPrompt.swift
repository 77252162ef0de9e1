import Autodiff
import Compute

/// Virtual tokens that several tasks share, each task with a matrix of low rank of its own that they are multiplied with
/// element by element: `P_k = P * (C_k R_k)` (Wang et al., 2023, "Multitask Prompt Tuning Enables Parameter-Efficient
/// Transfer Learning"; names, shapes and starts are PEFT's).
public final class MultitaskPrompt: VectorPrompt {
  public static let name = "multitask"
  /// The deviation of new factors.
  static let deviation: Float = 0.02

  /// `[length, embeddingWidth]`.
  private let shared: Parameter
  /// `[tasks, length, ranks]`.
  private let columns: Parameter
  /// `[tasks, ranks, embeddingWidth]`.
  private let rows: Parameter
  private let width: Int

  public init(_ request: PromptRequest) throws {
    let (backend, options) = (request.model.backend, request.options)
    width = request.model.facts.embeddingWidth
    let (tasks, length, ranks) = (request.taskCount, request.length, options.ranks)
    let sharedValues: [Float]
    var factors = TaskFactors(tasks: tasks, rank: ranks, length: length, width: width, seed: request.seed)
    if case .adapter(let adapter) = request.start, let source = adapter.taskFactors {
      sharedValues = try adapter.sharedValues(source, length: length, width: width)
      try factors.take(options.taskStart, from: source, path: adapter.path)
    } else {
      sharedValues = try request.startValues()
      if request.start == .zeros { factors.clear() }
    }
    func parameter(_ name: String, _ values: [Float], _ shape: Shape) throws -> Parameter {
      Parameter(name: name, value: try backend.tensor(values, shape), isTrainable: request.isTrainable)
    }
    shared = try parameter(StaticPrompt.tensorName, sharedValues, [length, width])
    columns = try parameter(TaskFactors.columnsName, factors.columns, [tasks, length, ranks])
    rows = try parameter(TaskFactors.rowsName, factors.rows, [tasks, ranks, width])
  }

  public var parameters: [Parameter] { [shared, columns, rows] }
  public var length: Int { shared.shape[0] }
  public var taskCount: Int { columns.shape[0] }
  public var variesByExample: Bool { taskCount > 1 }

  /// The vectors of each example's task; one copy for all where a batch has one task only.
  public func vectors(of batch: PromptBatch, on tape: Tape) throws -> PromptVectors {
    let tasks = variesByExample ? Array(Set(batch.tasks)).sorted() : [0]
    let prompts = try tasks.map { try vectors(ofTask: $0, on: tape) }
    guard tasks.count > 1 else { return PromptVectors(prompts[0]) }
    let sources = batch.tasks.flatMap { task in
      let first = (tasks.firstIndex(of: task) ?? 0) * length
      return (first..<first + length).map(Int32.init)
    }
    return PromptVectors(try tape.gatherRows(try tape.concatRows(prompts), try tape.backend.indices(sources)))
  }

  public func reading(of batch: PromptBatch, on tape: Tape) throws -> PromptReading {
    let rows = try tape.scope("prompt") { try vectors(of: batch, on: tape).rows }
    return PromptReading(vectors: rows, count: length, isShared: rows.shape[0] == length)
  }

  private func vectors(ofTask task: Int, on tape: Tape) throws -> Variable {
    precondition((0..<taskCount).contains(task), "a task that the prompt was made for")
    let ranks = columns.shape[2]
    func part(_ parameter: Parameter, _ count: Int) throws -> Variable {
      let matrix = try tape.reshape(tape.variable(parameter), [taskCount * count, parameter.shape[2]])
      return try tape.sliceRows(matrix, task * count..<(task + 1) * count)
    }
    let product = try tape.linear(try part(columns, length), weight: try part(rows, ranks))
    return try tape.multiply(tape.variable(shared), product)
  }

  public func peftTensors(on backend: any ComputeBackend) throws -> PEFTPrompt? {
    let values = try parameters.map { try backend.values($0.value) }
    let ranks = columns.shape[2]
    var prompt = PEFTPrompt(.multitask(tasks: taskCount, rank: ranks), rows: values[0], length: length)
    prompt.taskFactors = TaskFactors(
      tasks: taskCount, rank: ranks, length: length, width: width, columns: values[1], rows: values[2],
      shared: values[0])
    return prompt
  }
}

/// What the tasks of a multitask prompt take over from those of a trained one.
public enum TaskStart: Sendable, Hashable, LosslessStringConvertible, Codable {
  /// The means of the source tasks' factors (PEFT's AVERAGE_SOURCE_TASKS).
  case average
  /// The factors of one source task (EXACT_SOURCE_TASK).
  case task(Int)
  /// Nothing but the shared rows; factors are new (ONLY_SOURCE_SHARED).
  case shared
  /// Each task its own: the same tasks are trained on.
  case each

  public init?(_ description: String) {
    switch description {
    case "average": self = .average
    case "shared": self = .shared
    case "each": self = .each
    default:
      guard let task = Int(description), task >= 0 else { return nil }
      self = .task(task)
    }
  }

  public var description: String {
    switch self {
    case .average: "average"
    case .task(let task): String(task)
    case .shared: "shared"
    case .each: "each"
    }
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let value = TaskStart(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "an unknown start of tasks")
    }
    self = value
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

extension TaskFactors {
  private static let stream: UInt64 = 0x6D75_6C74_6900_0000

  /// New factors, normal with PEFT's deviation.
  fileprivate init(tasks: Int, rank: Int, length: Int, width: Int, seed: UInt64) {
    var generator = Philox(seed: seed, stream: Self.stream)
    func normal(_ count: Int) -> [Float] { (0..<count).map { _ in MultitaskPrompt.deviation * generator.nextNormal() } }
    let columns = normal(tasks * length * rank)
    self.init(
      tasks: tasks, rank: rank, length: length, width: width, columns: columns, rows: normal(tasks * rank * width),
      shared: [])
  }

  fileprivate mutating func clear() {
    columns = columns.map { _ in 0 }
    rows = rows.map { _ in 0 }
  }

  /// Takes factors over from trained ones; of a prompt with two submodules, those in front of the text.
  ///
  /// - Throws: `MethodError.badAdapter` for another rank or number of tasks, or a task that is not there.
  fileprivate mutating func take(_ start: TaskStart, from source: TaskFactors, path: String) throws {
    func refuse(_ reason: String) -> MethodError { .badAdapter(path: path, reason: reason) }
    guard start != .shared else { return }
    guard source.rank == rank else {
      throw refuse(
        "its factors have rank \(source.rank), --prompt-ranks asks for \(rank); --prompt-task-init shared "
          + "takes the shared rows alone")
    }
    let columnParts = (0..<source.tasks).map { task in
      Array(source.columns[task * source.length * rank..<(task * source.length + length) * rank])
    }
    let rowParts = (0..<source.tasks).map { Array(source.rows[$0 * rank * width..<($0 + 1) * rank * width]) }
    func mean(_ parts: [[Float]]) -> [Float] {
      parts[0].indices.map { place in Float(parts.reduce(0.0) { $0 + Double($1[place]) } / Double(parts.count)) }
    }
    switch start {
    case .shared: return
    case .average:
      (columns, rows) = (Self.repeated(mean(columnParts), tasks), Self.repeated(mean(rowParts), tasks))
    case .task(let task):
      guard task < source.tasks else {
        throw refuse("--prompt-task-init \(task): it holds prompts of \(source.tasks) tasks, from 0")
      }
      (columns, rows) = (Self.repeated(columnParts[task], tasks), Self.repeated(rowParts[task], tasks))
    case .each:
      guard source.tasks == tasks else {
        throw refuse("--prompt-task-init each: it holds prompts of \(source.tasks) tasks, there are \(tasks)")
      }
      (columns, rows) = (columnParts.flatMap { $0 }, rowParts.flatMap { $0 })
    }
  }

  private static func repeated(_ values: [Float], _ count: Int) -> [Float] { (0..<count).flatMap { _ in values } }
}
