import Conformance
import Foundation
import LanguageModels
import TestSupport
import Testing

/// Vector files made here, right and wrong.
@Suite struct VectorTests {
  private typealias Item = SafetensorsWriter.Item

  private static func integers(_ name: String, _ values: [Int32]) -> Item {
    Item(name: name, type: .i32, shape: [values.count]) { values.withUnsafeBytes { Data($0) } }
  }

  /// Writes files to a folder of their own and runs them on a device.
  private func run(
    _ files: [(stem: String, items: [Item], metadata: [String: String])], on device: TestBackend = Backends.cpu
  ) throws -> [String: CaseReport] {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("vectors-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for file in files {
      let url = folder.appendingPathComponent(file.stem + ".safetensors")
      if file.items.isEmpty, file.metadata.isEmpty {
        try Data([1, 2, 3]).write(to: url)
      } else {
        try SafetensorsWriter.write(file.items, metadata: file.metadata, to: url)
      }
    }
    let report = try ConformanceSuite.run(try device.make(), vectors: folder)
    return Dictionary(uniqueKeysWithValues: report.cases.map { ($0.name, $0) })
  }

  private func one(_ items: [Item], _ metadata: [String: String], on device: TestBackend = Backends.cpu) throws
    -> CaseReport
  {
    try #require(try run([("case", items, metadata)], on: device)["case"])
  }

  private static let exact = "{\"output.0\": {\"absolute\": 0, \"relative\": 0}}"

  private static func sum(_ output: [Float]) -> [Item] {
    [
      Item(name: "input.0", shape: [2], floats: [1, 2]), Item(name: "input.1", shape: [2], floats: [10, 20]),
      Item(name: "output.0", shape: [2], floats: output),
    ]
  }

  @Test(arguments: Backends.available)
  func rightValuesAndGradientsPass(_ device: TestBackend) throws {
    // [1 2; 3 4] [1; -1] with bias 0.5 and a hole in place of input 3's neighbour.
    let report = try one(
      [
        Item(name: "input.0", shape: [2, 2], floats: [1, 2, 3, 4]),
        Item(name: "input.1", shape: [2, 1], floats: [1, -1]),
        Item(name: "input.3", shape: [2, 1], floats: [10, 20]),
        Item(name: "output.0", shape: [2, 1], floats: [19, 39]),
        Item(name: "cotangent.0", shape: [2, 1], floats: [1, 2]),
        Item(name: "gradient.0", shape: [2, 2], floats: [1, -1, 2, -2]),
        Item(name: "gradient.1", shape: [2, 1], floats: [7, 10]),
        Item(name: "gradient.3", shape: [2, 1], floats: [2, 4]),
      ],
      [
        "operation": "matmul", "attributes": "{\"beta\": 2}", "source": "by hand", "fault": "none",
        "tolerance": "{\"output.0\": {\"absolute\": 1e-5, \"relative\": 1e-6}}",
      ], on: device)
    #expect(report.status == .passed, "\(report.reason)")
    #expect(report.operation == "matmul")
  }

  @Test func toleranceDecides() throws {
    let near = Self.sum([11, 22.001])
    #expect(try one(near, ["operation": "add", "tolerance": Self.exact]).status == .failed)
    #expect(try one(near, ["operation": "add"]).status == .failed)
    let absolute = "{\"output.0\": {\"absolute\": 0.002, \"relative\": 0}}"
    #expect(try one(near, ["operation": "add", "tolerance": absolute]).status == .passed)
    let relative = "{\"output.0\": {\"absolute\": 0, \"relative\": 1e-4}}"
    #expect(try one(near, ["operation": "add", "tolerance": relative]).status == .passed)
  }

  @Test func notANumberNeverPasses() throws {
    let wide = "{\"output.0\": {\"absolute\": 1e30, \"relative\": 1}}"
    let expected = try one(Self.sum([11, .nan]), ["operation": "add", "tolerance": wide])
    #expect(expected.status == .failed)
    var items = Self.sum([11, .nan])
    items[0] = Item(name: "input.0", shape: [2], floats: [1, .nan])
    #expect(try one(items, ["operation": "add", "tolerance": wide]).status == .failed)
    items[2] = Item(name: "output.0", shape: [2], floats: [11, 22])
    #expect(try one(items, ["operation": "add", "tolerance": wide]).status == .failed)
  }

  @Test func infinityEqualsItself() throws {
    var items = Self.sum([11, .infinity])
    items[0] = Item(name: "input.0", shape: [2], floats: [1, .infinity])
    #expect(try one(items, ["operation": "add"]).status == .passed)
    items[2] = Item(name: "output.0", shape: [2], floats: [11, -.infinity])
    let wide = "{\"output.0\": {\"absolute\": 1e30, \"relative\": 1}}"
    #expect(try one(items, ["operation": "add", "tolerance": wide]).status == .failed)
  }

  @Test func theUnknownIsSkippedWithAReason() throws {
    let operation = try one(Self.sum([11, 22]), ["operation": "convolution"])
    #expect(operation.status == .skipped)
    #expect(operation.reason.contains("convolution"))
    let attribute = try one(Self.sum([11, 22]), ["operation": "add", "attributes": "{\"axis\": 1}"])
    #expect(attribute.status == .skipped)
    #expect(attribute.reason.contains("axis"))
    // An attribute that only our own table uses is unknown in a file.
    let inner = try one(Self.sum([11, 22]), ["operation": "add", "attributes": "{\"inPlace\": true}"])
    #expect(inner.status == .skipped)
    let axis = try one(
      [
        Item(name: "input.0", shape: [2, 2], floats: [0, 0, 0, 0]),
        Item(name: "output.0", shape: [2, 2], floats: [0.5, 0.5, 0.5, 0.5]),
      ],
      ["operation": "softmax", "attributes": "{\"axis\": 0}"])
    #expect(axis.status == .skipped)
    let scaling = try one(
      [
        Item(name: "input.0", shape: [1, 2], floats: [1, 1]), Self.integers("input.1", [3]),
        Item(name: "output.0", shape: [1, 2], floats: [0, 0]),
      ],
      ["operation": "rotary", "attributes": "{\"heads\": 1, \"frequencyScaling\": {\"rope_type\": \"longrope\"}}"])
    #expect(scaling.status == .skipped)
    #expect(scaling.reason.contains("longrope"))
  }

  @Test func brokenFilesFailInOneLine() throws {
    let right = Self.sum([11, 22])
    let reports = try run([
      ("garbage", [], [:]),
      ("no-operation", right, ["source": "nowhere"]),
      ("bad-attributes", right, ["operation": "add", "attributes": "[1"]),
      ("wrong-attribute", [right[0], right[2]], ["operation": "scale", "attributes": "{\"scale\": \"big\"}"]),
      ("missing-attribute", [right[0], right[2]], ["operation": "scale"]),
      ("missing-input", [right[0], right[2]], ["operation": "add"]),
      ("extra-input", right + [Item(name: "input.7", shape: [1], floats: [1])], ["operation": "add"]),
      ("nothing-to-compare", [right[0], right[1]], ["operation": "add"]),
      ("wrong-name", right + [Item(name: "weights", shape: [1], floats: [1])], ["operation": "add"]),
      (
        "wrong-shape", [right[0], right[1], Item(name: "output.0", shape: [2, 1], floats: [11, 22])],
        ["operation": "add"]
      ),
      (
        "unlike-shapes", [right[0], Item(name: "input.1", shape: [3], floats: [1, 2, 3]), right[2]],
        ["operation": "add"]
      ),
      ("second-output", right + [Item(name: "output.1", shape: [1], floats: [1])], ["operation": "add"]),
      (
        "gradient-without-cotangent", right + [Item(name: "gradient.0", shape: [2], floats: [1, 1])],
        ["operation": "add"]
      ),
      (
        "long-cotangent",
        right + [
          Item(name: "gradient.0", shape: [2], floats: [1, 1]),
          Item(name: "cotangent.0", shape: [3], floats: [1, 1, 1]),
        ], ["operation": "add"]
      ),
      ("wrong-type", [Self.integers("input.0", [1, 2]), right[1], right[2]], ["operation": "add"]),
      (
        "bad-index",
        [
          Item(name: "input.0", shape: [2, 1], floats: [1, 2]), Self.integers("input.1", [2]),
          Item(name: "output.0", shape: [1, 1], floats: [1]),
        ], ["operation": "gatherRows"]
      ),
      (
        "unlike-moments",
        [
          right[0], right[1], Item(name: "input.2", shape: [1], floats: [0]),
          Item(name: "input.3", shape: [1], floats: [0]), right[2],
        ],
        ["operation": "adamW", "attributes": "{\"learningRate\": 1, \"step\": 1}"]
      ),
      (
        "no-buckets",
        [
          Item(name: "input.0", shape: [1, 1], floats: [1]), Item(name: "input.1", shape: [1, 1], floats: [1]),
          Item(name: "input.2", shape: [1, 1], floats: [1]), Item(name: "input.3", shape: [1, 1], floats: [1]),
          Item(name: "output.0", shape: [1, 1], floats: [1]),
        ],
        ["operation": "attention", "attributes": "{\"heads\": 1, \"bias\": \"relative\"}"]
      ),
      (
        "uncovered-query",
        [
          Item(name: "input.0", shape: [2, 1], floats: [1, 1]), Item(name: "input.1", shape: [1, 1], floats: [1]),
          Item(name: "input.2", shape: [1, 1], floats: [1]), Item(name: "output.0", shape: [2, 1], floats: [1, 1]),
        ],
        [
          "operation": "attention",
          "attributes": "{\"heads\": 1, \"segments\": [{\"queries\": [0, 1], \"own\": [0, 1]}]}",
        ]
      ),
    ])
    for (name, report) in reports {
      #expect(report.status == .failed, "\(name): \(report.status)")
      #expect(!report.reason.isEmpty && !report.reason.contains("\n"), "\(name)")
    }
    #expect(reports.count == 19)
  }

  @Test func weightsInSixteenBitsCountExactly() throws {
    let bits: [UInt16] = [0x3F80, 0xC040]  // 1 and -3 as bf16
    let report = try one(
      [
        Item(name: "input.0", shape: [1, 2], floats: [2, 5]),
        Item(name: "input.1", type: .bf16, shape: [2, 1]) { bits.withUnsafeBytes { Data($0) } },
        Item(name: "output.0", shape: [1, 1], floats: [-13]),
      ], ["operation": "matmul", "attributes": "{\"frozen\": true}"])
    #expect(report.status == .passed, "\(report.reason)")
  }

  @Test func theFolderMustHoldVectors() throws {
    let backend = try Backends.cpu.make()
    let missing = URL(fileURLWithPath: "/nonexistent-\(UUID().uuidString)")
    #expect(throws: ConformanceError.self) { try ConformanceSuite.run(backend, vectors: missing) }
  }

  @Test func reportsAreWhatTheCommandPrints() throws {
    let report = ConformanceReport(
      device: "cpu", deviceName: "a processor",
      cases: [CaseReport(name: "a", operation: "add", status: .skipped, reason: "because")])
    let object = try #require(
      try JSONSerialization.jsonObject(with: try JSONEncoder().encode(report)) as? [String: Any])
    #expect(object["device"] as? String == "cpu")
    let entry = try #require((object["cases"] as? [[String: Any]])?.first)
    #expect(entry["name"] as? String == "a")
    #expect(entry["operation"] as? String == "add")
    #expect(entry["status"] as? String == "skipped")
    #expect(entry["reason"] as? String == "because")
  }
}
