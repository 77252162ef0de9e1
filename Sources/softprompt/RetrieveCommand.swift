import ArgumentParser
import Foundation
import PromptTuning
import Training

/// `softprompt retrieve`.
struct RetrieveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retrieve",
    abstract: "Find the examples whose inputs are most like others.",
    discussion: """
      These are the demonstrations that --demonstrations retrieved puts in front of an example, best first. Without \
      --queries each row of the pool is a query, and is not found for itself.
      """)

  @Option(help: ArgumentHelp("The pool, .jsonl or .jsonl.gz.", valueName: "file"))
  var data: String

  @Option(help: ArgumentHelp("Examples to find neighbours for (default: the pool's own).", valueName: "file"))
  var queries: String?

  @Option(help: "How many neighbours of each.")
  var shots = 1

  @Option(
    help: ArgumentHelp(
      "bm25, or the directory of a model: the cosine of its mean hidden states, or of what its modules.json says.",
      valueName: "name or directory"))
  var retriever = RetrieverKind.bm25.argument

  @OptionGroup(title: "Task") var task: TaskArguments
  @OptionGroup(title: "Device") var deviceOptions: DeviceOptions

  @Flag(help: "Print a line of JSON for each query; queries and rows count from 0.")
  var json = false

  private struct Line: Encodable {
    let query: Int
    let neighbours: [Neighbour]
  }

  func run() throws {
    guard shots >= 1 else { throw ValidationError("--shots is \(shots), at least 1 is needed") }
    var format = try task.options().format(over: nil)
    let pool = try ExampleFile.read(data, for: &format)
    let others = try queries.map { try ExampleFile.read($0, for: &format) }
    let available = pool.count - (others == nil ? 1 : 0)
    guard shots <= available else {
      throw MethodError.refused("\(data): \(shots) neighbours are asked for, the pool has \(available)")
    }
    let made = try Demonstrations.retriever(
      RetrieverKind(argument: retriever), over: pool, on: { try deviceOptions.open() })
    let asked =
      others?.map { RetrievalQuery($0) } ?? pool.enumerated().map { RetrievalQuery($1, excluded: $0) }
    let found = try made.retriever.nearest(asked, count: shots)
    if json { return try Self.printLines(found) }
    for (query, neighbours) in zip(others ?? pool, found) {
      print(query.input)
      for neighbour in neighbours {
        print(String(format: "  %8.4f  %@", neighbour.score, pool[neighbour.index].input))
      }
    }
  }

  private static func printLines(_ found: [[Neighbour]]) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    var output = Data()
    for (query, neighbours) in found.enumerated() {
      output += try encoder.encode(Line(query: query, neighbours: neighbours)) + Data("\n".utf8)
      guard output.count > 1 << 20 else { continue }
      Output.write(output)
      output = Data()
    }
    Output.write(output)
  }
}
