import Foundation
import TestSupport
import Testing

/// Benchmarks and profiles, as a user asks for them.
@Suite struct MeasuringTests {
  private let model = CommandRunner.fixtures.appendingPathComponent("gpt2").path
  private let data = CommandRunner.fixtures.appendingPathComponent("e2e.jsonl").path

  private func object(_ text: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  private func run(_ arguments: [String]) throws -> CommandResult {
    let result = try CommandRunner.run(arguments)
    try #require(result.status == 0, "\(result.errors)")
    return result
  }

  @Test func kernelsBesideThePeaks() throws {
    let arguments = [
      "bench", "kernels", "--device", "cpu", "--rounds", "1", "--filter", "m=1,n=768,k=768|rows=1024,n=768,tanh",
    ]
    let report = try object(try run(arguments + ["--json"]).output)
    let peaks = try #require(report["peaks"] as? [String: Any])
    let bandwidth = try #require(peaks["gigabytes_per_second"] as? Double)
    let gflops = try #require(peaks["gflops"] as? Double)
    #expect(bandwidth > 0 && gflops > 0)
    let kernels = try #require(report["kernels"] as? [[String: Any]])
    #expect(
      Set(kernels.compactMap { $0["operation"] as? String }) == ["matmul", "matmulBackward", "gelu", "geluBackward"])
    for kernel in kernels {
      let flops = try #require(kernel["flops"] as? Double)
      let bytes = try #require(kernel["bytes"] as? Double)
      let milliseconds = try #require(kernel["milliseconds"] as? Double)
      guard milliseconds > 0 else { continue }
      let percent = try #require(kernel["percent_of_peak"] as? Double)
      let expected = 100 * max(flops / gflops, bytes / bandwidth) / (1e6 * milliseconds)
      guard abs(percent - expected) <= 1e-6 * expected else {
        Issue.record("\(percent) % of the peak instead of \(expected)")
        return
      }
    }
    let product = try #require(kernels.first { $0["operation"] as? String == "matmul" })
    #expect(product["flops"] as? Double == Double(2 * 768 * 768))
    #expect(product["bytes"] as? Double == Double(4 * (768 * 768 + 2 * 768)))
  }

  @Test func stepsBesideThePeaks() throws {
    let arguments = [
      "bench", "train", "--model", model, "--device", "cpu", "--rounds", "1", "--batch-size", "2", "--input-tokens",
      "9",
      "--target-tokens", "7", "--prompt-length", "4", "--json",
    ]
    let plain = try object(try run(arguments).output)
    let recomputed = try object(try run(arguments + ["--recompute"]).output)
    func number(_ object: [String: Any], _ key: String) throws -> Double {
      try #require(object[key] as? Double, "\(key)")
    }
    for key in ["gflops", "gigabytes_per_second", "percent_of_peak", "percent_of_bandwidth"] {
      #expect(try number(plain, key) > 0)
    }
    // The layers are computed once more, and little of them is kept.
    #expect(try number(recomputed, "flops") > 1.2 * number(plain, "flops"))
    #expect(try number(recomputed, "kept_bytes") < number(plain, "kept_bytes") / 2)
  }

  @Test func profileOfARun() throws {
    let folder = try TemporaryFolder()
    func arguments(_ name: String) -> [String] {
      [
        "train", "--model", model, "--data", data, "--device", "cpu", "--output", folder.file(name).path,
        "--prompt-length", "4", "--steps", "2", "--log-every", "1",
      ]
    }
    let shown = try run(arguments("shown") + ["--profile"]).output
    #expect(shown.contains("operation") && shown.contains("attentionBackward") && shown.contains("the device was busy"))
    let silent = try run(arguments("silent") + ["--profile", "--json"]).output
    for line in silent.split(separator: "\n") { #expect(try object(String(line))["step"] as? Int != nil) }
    let plain = try run(arguments("plain"))
    #expect(!plain.output.contains("attentionBackward"))
    for (name, isProfiled) in [("shown", true), ("silent", true), ("plain", false)] {
      let trace = folder.file(name).appendingPathComponent("trace.json")
      #expect(FileManager.default.fileExists(atPath: trace.path) == isProfiled)
      guard isProfiled else { continue }
      let events = try object(try String(contentsOf: trace, encoding: .utf8))["traceEvents"] as? [[String: Any]]
      let names = Set(try #require(events).compactMap { $0["name"] as? String })
      #expect(names.isSuperset(of: ["step 2", "forward", "backward", "matmul"]))
    }
    let refused = try CommandRunner.run(arguments("refused") + ["--profile", "--dry-run"])
    #expect(refused.status == 2 && refused.errors.contains("--dry-run"))
  }

  /// As an option and as a key of a configuration.
  @Test func recomputationGivesTheSameAdapter() throws {
    let folder = try TemporaryFolder()
    let file = try folder.write("recompute: true\n", to: "run.yaml")
    func adapter(_ name: String, _ more: [String]) throws -> Data {
      let output = folder.file(name)
      _ = try run(
        [
          "train", "--model", model, "--data", data, "--device", "cpu", "--output", output.path, "--prompt-length", "4",
          "--steps", "3",
        ] + more)
      return try Data(contentsOf: output.appendingPathComponent("adapter_model.safetensors"))
    }
    let plain = try adapter("plain", [])
    #expect(try adapter("option", ["--recompute"]) == plain)
    #expect(try adapter("key", ["--config", file.path]) == plain)
    let merged = try String(contentsOf: folder.file("key").appendingPathComponent("config.yaml"), encoding: .utf8)
    #expect(merged.contains("recompute: true"))
  }
}
