import Foundation
import TestSupport
import Testing

/// Retrieval and retrieved demonstrations, as a user meets them.
@Suite struct RetrievalTests {
  private let model = CommandRunner.fixtures.appendingPathComponent("gpt2").path
  private let data = CommandRunner.fixtures.appendingPathComponent("e2e.jsonl").path

  private static let pool = ["a b", "c d e", "a b", "a b d"]
    .map { "{\"input\": \"\($0)\", \"target\": \"t \($0)\"}\n" }.joined()

  private static func objects(_ text: String) throws -> [[String: Any]] {
    try text.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }

  private static func neighbours(_ output: String) throws -> [(query: Int, rows: [Int], scores: [Double])] {
    try objects(output).map { object in
      let list = try #require(object["neighbours"] as? [[String: Any]])
      return (
        try #require(object["query"] as? Int), try list.map { try #require($0["index"] as? Int) },
        try list.map { try #require($0["score"] as? Double) }
      )
    }
  }

  private static func succeed(_ arguments: [String], input: String? = nil) throws -> String {
    let result = try CommandRunner.run(arguments, input: input)
    try #require(result.status == 0, "\(result.errors)")
    return result.output
  }

  @Test func retrievePrintsALineForEachQuery() throws {
    let folder = try TemporaryFolder()
    let pool = try folder.write(Self.pool, to: "pool.jsonl").path
    let queries = try folder.write("{\"input\": \"D b\", \"target\": \"\"}\n", to: "queries.jsonl").path
    let own = try Self.neighbours(
      Self.succeed(["retrieve", "--data", pool, "--shots", "2", "--retriever", "bm25", "--json"]))
    #expect(own.map(\.query) == [0, 1, 2, 3])
    #expect(own.map(\.rows) == [[2, 3], [3, 0], [0, 3], [0, 2]])
    let others = try Self.neighbours(
      Self.succeed(["retrieve", "--data", pool, "--queries", queries, "--shots", "4", "--json"]))
    #expect(others.map(\.rows) == [[3, 1, 0, 2]])
    #expect(others[0].scores == others[0].scores.sorted(by: >))
    let dense = try Self.neighbours(
      Self.succeed(
        ["retrieve", "--device", "cpu", "--data", pool, "--shots", "3", "--retriever", model, "--json"]))
    #expect(dense[0].rows[0] == 2 && dense[2].rows[0] == 0)
    #expect(abs(dense[0].scores[0] - 1) < 1e-6)
    let few = try CommandRunner.run(["retrieve", "--data", pool, "--shots", "4"])
    #expect(few.status == 2 && few.errors.contains("the pool has 3"), "\(few.errors)")
    let missing = try CommandRunner.run(["retrieve", "--data", pool, "--retriever", folder.url.path + "/none"])
    #expect(missing.status == 2 && missing.errors.contains("/none"), "\(missing.errors)")
  }

  /// Few and short enough that two demonstrations always fit.
  private static let short = (0..<12).map { row in
    "{\"input\": \"name[\(["Zizzi", "Aromi", "Wildwood"][row % 3])], food[\(["Thai", "pub"][row % 2])] \(row)\", "
      + "\"target\": \"it is \(row % 4).\"}\n"
  }.joined()

  private func train(_ output: String, _ more: [String], data: String) throws {
    _ = try Self.succeed(
      [
        "train", "--device", "cpu", "--model", model, "--data", data, "--validation", data, "--output", output,
        "--prompt-length", "3", "--learning-rate", "0.2", "--batch-size", "4", "--steps", "6", "--log-every", "1",
        "--seed", "5",
      ] + more)
  }

  private func evaluate(_ more: [String], predictions: String) throws -> (loss: Double, rows: [[String: Any]]) {
    let output = try Self.succeed(
      ["evaluate", "--device", "cpu", "--model", model, "--json", "--predictions", predictions] + more)
    let metrics = try #require(try Self.objects(output)[0]["metrics"] as? [String: Any])
    return (
      try #require(metrics["loss"] as? Double), try Self.objects(String(contentsOfFile: predictions, encoding: .utf8))
    )
  }

  @Test func withoutShotsIPTIsPromptTuningBitForBit() throws {
    let folder = try TemporaryFolder()
    let data = try folder.write(Self.short, to: "data.jsonl").path
    try train(folder.file("pt").path, ["--method", "prompt-tuning"], data: data)
    try train(folder.file("ipt").path, ["--method", "ipt", "--shots", "0"], data: data)
    try train(folder.file("shown").path, ["--method", "ipt"], data: data)
    func adapter(_ run: String) throws -> Data {
      try Data(contentsOf: folder.file(run).appendingPathComponent("adapter_model.safetensors"))
    }
    #expect(try adapter("pt") == adapter("ipt"))
    #expect(try adapter("pt") != adapter("shown"))
  }

  @Test func evaluationShowsWhatTrainingShowed() throws {
    let folder = try TemporaryFolder()
    let data = try folder.write(Self.short, to: "data.jsonl").path
    let pool = try folder.write(Self.short, to: "pool.jsonl")
    let rows = folder.file("rows.jsonl").path
    for retriever in ["bm25", model] {
      let run = folder.file("run-\(retriever.count)").path
      try train(
        run, ["--method", "ipt", "--shots", "2", "--demonstration-data", pool.path, "--retriever", retriever],
        data: data)
      let last = try Self.objects(String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8))
        .compactMap { $0["validation_loss"] as? Double }.min()
      let first = try evaluate(["--adapter", run, "--data", data], predictions: rows)
      #expect(abs(first.loss - (try #require(last))) < 1e-5 * first.loss)
      let similarities = first.rows.map { $0["similarity"] as? Double }
      #expect(similarities.allSatisfy { ($0 ?? 0) > 0 }, "\(similarities)")
      // Neither the size of batches nor an explicit repetition of what is remembered changes anything.
      let again = try evaluate(
        ["--adapter", run, "--data", data, "--demonstrations", "retrieved", "--retriever", retriever, "--shots", "2"],
        predictions: rows)
      #expect(abs(again.loss - first.loss) < 1e-6 && again.rows.map { $0["similarity"] as? Double } == similarities)
      let small = try evaluate(["--adapter", run, "--data", data, "--batch-size", "1"], predictions: rows)
      #expect(abs(small.loss - first.loss) < 1e-5)
      // Without demonstrations the same prompt does something else.
      let plain = try evaluate(["--adapter", run, "--data", data, "--demonstrations", "none"], predictions: rows)
      #expect(abs(plain.loss - first.loss) > 1e-4 && plain.rows[0]["similarity"] == nil)
    }
    let run = folder.file("run-4").path
    let generated = try Self.succeed(
      ["generate", "--device", "cpu", "--model", model, "--adapter", run, "--max-new-tokens", "4", "--json"],
      input: "\"name[Aromi]\"\n\"food[Thai]\"\n")
    #expect(generated.split(separator: "\n").count == 2)

    // The adapter refuses a pool that is not the one it was trained with.
    let text = try String(contentsOf: pool, encoding: .utf8)
    try Data(text.replacingOccurrences(of: "pub", with: "bar").utf8).write(to: pool)
    let command = ["evaluate", "--device", "cpu", "--model", model, "--adapter", run, "--data", data, "--json"]
    let changed = try CommandRunner.run(command)
    #expect(changed.status == 2 && changed.errorLines.count == 1, "\(changed.errors)")
    #expect(changed.errors.contains(pool.path) && changed.errors.contains("changed"), "\(changed.errors)")
    try FileManager.default.removeItem(at: pool)
    let gone = try CommandRunner.run(command)
    #expect(gone.status == 2 && gone.errors.contains(pool.path), "\(gone.errors)")
    #expect(try CommandRunner.run(command + ["--demonstration-data", data]).status == 0)
  }

  @Test func aPromptOfOneTaskMeetsDemonstrationsOfAnother() throws {
    let folder = try TemporaryFolder()
    let run = folder.file("run").path
    try train(run, [], data: folder.write(Self.short, to: "data.jsonl").path)
    let target = try folder.write(Self.pool, to: "target.jsonl").path
    let rows = folder.file("rows.jsonl").path
    let arguments = ["--adapter", run, "--data", target]
    let plain = try evaluate(arguments, predictions: rows).loss
    for selection in ["retrieved", "fixed", "random"] {
      let shown = try evaluate(
        arguments + ["--demonstrations", selection, "--demonstration-data", target], predictions: rows)
      #expect(abs(shown.loss - plain) > 1e-4, "\(selection)")
      #expect((shown.rows[0]["similarity"] != nil) == (selection == "retrieved"))
    }
  }

  @Test func optionsThatMakeNoSense() throws {
    let cases = [
      (["--retriever", "bm25"], "--retriever makes no sense"),
      (
        ["--demonstrations", "random", "--retriever", "bm25", "--demonstration-data", data],
        "--retriever makes no sense"
      ),
      (["--demonstrations", "retrieved"], "--demonstration-data"),
      (["--demonstrations", "retrieved", "--shots", "99", "--demonstration-data", data], "99 demonstrations"),
    ]
    for (arguments, words) in cases {
      let result = try CommandRunner.run(
        ["evaluate", "--device", "cpu", "--model", model, "--data", data] + arguments)
      #expect(result.status == 2 && result.errors.contains(words), "\(arguments): \(result.errors)")
      #expect(result.errorLines.count == 1, "\(result.errors)")
    }
  }
}
