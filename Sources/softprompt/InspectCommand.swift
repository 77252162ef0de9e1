import ArgumentParser
import Compute
import Foundation
import LanguageModels
import PromptTuning

/// `softprompt inspect`.
struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show what is in an adapter: sizes, norms, and the vocabulary tokens nearest to each virtual token.")

  @Argument(help: ArgumentHelp("The adapter's folder.", valueName: "adapter"))
  var adapter: String

  @OptionGroup var modelArguments: ModelArguments
  @OptionGroup var deviceOptions: DeviceOptions

  @Option(help: ArgumentHelp("Which task's prompt of PEFT's multitask prompts, from 0.", valueName: "number"))
  var promptTask: Int?

  @Option(help: "How many nearest tokens to show.")
  var neighbours = 5

  @Flag(help: "Print JSON instead of a table.")
  var json = false

  func validate() throws {
    guard neighbours >= 0 else { throw ValidationError("--neighbours cannot be negative") }
  }

  private struct Report: Encodable {
    struct Neighbour: Encodable {
      var id: Int
      var token: String
      var cosine: Double
    }

    struct Stored: Encodable {
      var name: String
      var shape: [Int]
      var norm: Double
    }

    struct VirtualToken: Encodable {
      var index: Int
      var norm: Double
      var nearest: [Neighbour]
    }

    var adapter: String
    var method: String?
    var peft_type: String
    var base_model: String?
    var virtual_tokens: Int
    var width: Int
    var parameters: Int
    var embedding_norm: Double
    var tokens: [VirtualToken]
    /// Of everything that is kept of the prompt.
    var tensors: [Stored]
  }

  func run() throws {
    let adapter = try Adapter(directory: URL(fileURLWithPath: adapter, isDirectory: true), promptTask: promptTask)
    let backend = try deviceOptions.open()
    let opened = try OpenedModel(modelArguments.model, modelArguments.precision.options(), on: backend)
    try adapter.check(fits: opened.model.facts)
    let report = try report(adapter, opened, backend)
    if json {
      try Output.json(report)
      return
    }
    print("adapter: \(report.adapter)")
    if let method = report.method { print("method: \(method)") }
    if let base = report.base_model { print("base model: \(base)") }
    print("type: \(report.peft_type)")
    print("virtual tokens: \(report.virtual_tokens) of width \(report.width), \(report.parameters) numbers")
    for tensor in report.tensors {
      print("tensor: \(tensor.name) \(Shape(tensor.shape)), norm \(String(format: "%.4f", tensor.norm))")
    }
    print(String(format: "mean norm of the model's token embeddings: %.4f\n", report.embedding_norm))
    if report.tokens.isEmpty { return }
    Output.table(
      ["token", "norm", "nearest vocabulary tokens (cosine)"],
      report.tokens.map { token in
        [
          String(token.index), String(format: "%.4f", token.norm),
          token.nearest.map { String(format: "%@ (%.2f)", $0.token, $0.cosine) }.joined(separator: "  "),
        ]
      })
  }

  private func report(_ adapter: Adapter, _ opened: OpenedModel, _ backend: any ComputeBackend) throws -> Report {
    let prompt = adapter.tokenRows
    let promptRows = (0..<prompt.length).map { Array(prompt.values[$0 * prompt.width..<($0 + 1) * prompt.width]) }
    let promptNorms = promptRows.map(Self.norm)
    var best = [[(id: Int, cosine: Double)]](repeating: [], count: prompt.length)
    var normTotal = 0.0
    let vocabulary = opened.model.facts.vocabularySize
    // The table is looked at in blocks, so that it need not be widened to f32 as a whole.
    for start in stride(from: 0, to: vocabulary, by: 4096) {
      let ids = (start..<min(start + 4096, vocabulary)).map(Int32.init)
      let block = try backend.gatherRows(opened.model.tokenEmbedding.value, try backend.indices(ids))
      let values = try backend.values(block)
      let width = block.columnCount
      let norms = ids.indices.map { Self.norm(Array(values[$0 * width..<($0 + 1) * width])) }
      normTotal += norms.reduce(0, +)
      guard prompt.length > 0, neighbours > 0 else { continue }
      let products = try backend.values(
        try backend.matmul(
          try backend.tensor(prompt.values, [prompt.length, prompt.width]), block, MatmulOptions(transposeB: true)))
      for row in 0..<prompt.length {
        let candidates = ids.indices.map { column -> (id: Int, cosine: Double) in
          let scale = promptNorms[row] * norms[column]
          return (Int(ids[column]), scale > 0 ? Double(products[row * ids.count + column]) / scale : 0)
        }
        best[row] = Array(
          (best[row] + candidates).sorted { ($0.cosine, -$0.id) > ($1.cosine, -$1.id) }.prefix(neighbours))
      }
    }
    let tensors = Self.tensors(adapter)
    return Report(
      adapter: adapter.path, method: adapter.settings?.method.name, peft_type: adapter.type.name,
      base_model: adapter.baseModel, virtual_tokens: adapter.prompt.length,
      width: adapter.isPrefix ? adapter.prompt.width : prompt.width,
      parameters: tensors.reduce(0) { $0 + $1.shape.reduce(1, *) },
      embedding_norm: normTotal / Double(max(1, vocabulary)),
      tokens: promptNorms.indices.map { index in
        Report.VirtualToken(
          index: index, norm: promptNorms[index],
          nearest: best[index].map {
            Report.Neighbour(
              id: $0.id, token: opened.codec.tokenizer.decode([Int32($0.id)], skipSpecialTokens: false),
              cosine: $0.cosine)
          })
      }, tensors: tensors)
  }

  /// Everything that is kept of the prompt: its rows, or its parameters by name.
  private static func tensors(_ adapter: Adapter) -> [Report.Stored] {
    guard let parameters = adapter.parameters else {
      return [
        Report.Stored(
          name: StaticPrompt.tensorName, shape: [adapter.prompt.length, adapter.prompt.width],
          norm: norm(adapter.prompt.values))
      ]
    }
    return parameters.tensors.sorted { $0.key < $1.key }.map {
      Report.Stored(name: $0.key, shape: $0.value.shape.dimensions, norm: norm($0.value.values))
    }
  }

  private static func norm(_ values: [Float]) -> Double {
    values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
  }
}
