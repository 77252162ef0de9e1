import LanguageModels

/// What kind of prompt PEFT's files hold, with what its configuration says of the kind.
public enum PEFTType: Sendable, Hashable {
  case promptTuning
  /// Rows that a network (MLP or LSTM) of a hidden width made.
  case pTuning(network: String, width: Int, layers: Int)
  /// Keys and values, made by a network of a hidden width or free.
  case prefixTuning(projection: Bool, width: Int?)
  /// Rows that several tasks share, each with a matrix of low rank that they are multiplied with.
  case multitask(tasks: Int, rank: Int)
  /// Something that PEFT does not have.
  case own

  /// The value of `peft_type`.
  public var name: String {
    switch self {
    case .promptTuning: "PROMPT_TUNING"
    case .pTuning: "P_TUNING"
    case .prefixTuning: "PREFIX_TUNING"
    case .multitask: "MULTITASK_PROMPT_TUNING"
    case .own: "SOFTPROMPT"
    }
  }

  /// - Throws: `CheckpointError` naming file and key.
  init(_ file: ConfigurationFile) throws {
    guard let name = try file.optionalString("peft_type") else { throw file.error("peft_type", "is missing") }
    switch name {
    case "PROMPT_TUNING": self = .promptTuning
    case "P_TUNING":
      self = .pTuning(
        network: try file.optionalString("encoder_reparameterization_type") ?? "MLP",
        width: try file.optionalInteger("encoder_hidden_size", atLeast: 1) ?? file.integer("token_dim"),
        layers: try file.optionalInteger("encoder_num_layers", atLeast: 1) ?? 2)
    case "PREFIX_TUNING":
      self = .prefixTuning(
        projection: try file.boolean("prefix_projection", default: false),
        width: try file.optionalInteger("encoder_hidden_size", atLeast: 1))
    case "MULTITASK_PROMPT_TUNING":
      self = .multitask(tasks: try file.integer("num_tasks"), rank: try file.integer("num_ranks"))
    case "SOFTPROMPT": self = .own
    default:
      throw file.error(
        "peft_type",
        "is '\(name)'; PROMPT_TUNING, P_TUNING, PREFIX_TUNING and MULTITASK_PROMPT_TUNING are supported")
    }
  }
}

/// A prompt as PEFT's files hold it.
public struct PEFTPrompt: Sendable, Hashable {
  public var type: PEFTType
  /// `[length, width]`, row-major.
  public var rows: [Float]
  public var length: Int
  /// What each task has, for multitask prompts; the rows are then the shared ones.
  public var taskFactors: TaskFactors?

  /// The names of the tensors that PEFT's files have for prompts.
  public static let tensorNames = [StaticPrompt.tensorName, TaskFactors.columnsName, TaskFactors.rowsName]

  public init(_ type: PEFTType, rows: [Float], length: Int) {
    precondition(length > 0 ? rows.count % length == 0 : rows.isEmpty, "rows are of one width")
    self.type = type
    self.rows = rows
    self.length = length
  }

  /// The rows with their shape.
  ///
  /// - Parameter width: that of rows where there are none.
  public func values(width: Int) -> Adapter.PromptValues {
    Adapter.PromptValues(length: length, width: length > 0 ? rows.count / length : width, values: rows)
  }
}

/// What PEFT's multitask prompts have for each task: a matrix of low rank in two factors.
public struct TaskFactors: Sendable, Hashable {
  static let columnsName = "prefix_task_cols"
  static let rowsName = "prefix_task_rows"

  public var tasks: Int
  public var rank: Int
  /// Rows of the shared prompt, in all submodules.
  public var length: Int
  public var width: Int
  /// `[tasks, length, rank]`, row-major.
  public var columns: [Float]
  /// `[tasks, rank, width]`, row-major.
  public var rows: [Float]
  /// `[length, width]`: the shared prompt with all submodules.
  public var shared: [Float]

  init(
    tasks: Int, rank: Int, length: Int, width: Int, columns: [Float], rows: [Float], shared: [Float]
  ) {
    (self.tasks, self.rank, self.length, self.width) = (tasks, rank, length, width)
    (self.columns, self.rows, self.shared) = (columns, rows, shared)
  }

  /// The first rows of a task's prompt, element by element the shared one times the task's matrix.
  func values(task: Int, length count: Int) -> [Float] {
    (0..<count * width).map { place in
      let (row, column) = (place / width, place % width)
      // PEFT multiplies in f32; the sum of a few products is the same to its last bits.
      let factor = (0..<rank).reduce(Float(0)) {
        $0 + columns[(task * length + row) * rank + $1] * rows[(task * rank + $1) * width + column]
      }
      return shared[place] * factor
    }
  }

  /// The tensors of PEFT's file.
  var items: [SafetensorsWriter.Item] {
    [
      .init(name: StaticPrompt.tensorName, shape: [length, width], floats: shared),
      .init(name: Self.columnsName, shape: [tasks, length, rank], floats: columns),
      .init(name: Self.rowsName, shape: [tasks, rank, width], floats: rows),
    ]
  }

  /// - Throws: `CheckpointError` naming file and tensor.
  init(_ file: SafetensorsFile, tasks: Int, rank: Int, length: Int, width: Int) throws {
    func read(_ name: String, _ shape: [Int]) throws -> [Float] {
      guard let entry = file.entries[name] else { throw CheckpointError.missingTensor(path: file.url.path, name: name) }
      guard entry.shape.dimensions == shape else {
        throw CheckpointError.wrongShape(path: file.url.path, name: name, found: entry.shape, expected: .init(shape))
      }
      return try file.floats(of: entry)
    }
    (self.tasks, self.rank, self.length, self.width) = (tasks, rank, length, width)
    shared = try read(StaticPrompt.tensorName, [length, width])
    columns = try read(Self.columnsName, [tasks, length, rank])
    rows = try read(Self.rowsName, [tasks, rank, width])
  }
}
