import Compute
import Foundation
import TestSupport
import Testing

@testable import LanguageModels

@Suite struct CheckpointTests {
  private static func loadFailure(_ folder: TemporaryFolder) throws -> String {
    let backend = try Backends.cpu.make()
    let error = #expect(throws: CheckpointError.self) { _ = try ModelDirectory(folder.url).load(on: backend) }
    let message = error.map { "\($0)" } ?? ""
    #expect(message.hasPrefix(folder.url.path) && !message.contains("\n"), "\(message)")
    return message
  }

  /// A whole tiny model as a list of tensors.
  private static func items() throws -> [SafetensorsWriter.Item] {
    let backend = try Backends.cpu.make()
    return try TinyModel.gpt2(on: backend).parameters.map {
      SafetensorsWriter.Item(name: $0.name, shape: $0.shape, floats: try backend.values($0.value))
    }
  }

  private static func folder(_ items: [SafetensorsWriter.Item]) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.write(TinyModel.configuration(), to: "config.json")
    try SafetensorsWriter.write(items, to: folder.file("model.safetensors"))
    return folder
  }

  @Test func wholeModelOpens() throws {
    let backend = try Backends.cpu.make()
    let folder = try Self.folder(try Self.items())
    let model = try ModelDirectory(folder.url).load(on: backend)
    #expect(model.facts == TinyModel.facts())
  }

  @Test func everyMissingTensorIsNamed() throws {
    let items = try Self.items()
    for item in items {
      let message = try Self.loadFailure(try Self.folder(items.filter { $0.name != item.name }))
      #expect(message.hasSuffix("tensor '\(item.name)' is missing"), "\(message)")
    }
  }

  @Test func wrongShapeAndType() throws {
    let items = try Self.items()
    let name = "transformer.h.1.attn.c_attn.weight"
    let others = items.filter { $0.name != name }
    let transposed = try Self.loadFailure(
      try Self.folder(others + [.init(name: name, shape: [72, 24], floats: [Float](repeating: 0, count: 72 * 24))]))
    #expect(transposed.contains(name) && transposed.contains("[72, 24]") && transposed.contains("[24, 72]"))
    let integers = try Self.loadFailure(
      try Self.folder(others + [.init(name: name, type: .i32, shape: [24, 72]) { Data(count: 24 * 72 * 4) }]))
    #expect(integers.contains(name) && integers.contains("I32"))
    let doubles = try Self.loadFailure(
      try Self.folder(others + [.init(name: name, type: .f64, shape: [24, 72]) { Data(count: 24 * 72 * 8) }]))
    #expect(doubles.contains("F64"))
  }

  @Test func foldersWithoutAModel() throws {
    let missing = #expect(throws: CheckpointError.self) {
      try ModelDirectory(URL(fileURLWithPath: "/nonexistent/model"))
    }
    #expect(missing.map { "\($0)" }?.contains("no such model directory") == true)
    let empty = try TemporaryFolder()
    #expect(try Self.loadFailure(empty).contains("config.json"))
    try empty.write(TinyModel.configuration(), to: "config.json")
    #expect(try Self.loadFailure(empty).contains("model.safetensors: cannot be read"))
    try empty.write("x", to: "pytorch_model.bin")
    #expect(try Self.loadFailure(empty).contains("PyTorch files are not read"))
  }

  @Test func brokenIndexes() throws {
    let indexes: [(json: String, mention: String)] = [
      ("[]", "weight_map"), (#"{"weight_map": 3}"#, "weight_map"), (#"{"weight_map": {"a": 3}}"#, "weight_map"),
      (#"{"weight_map": {"a": "../x.safetensors"}}"#, "not a file beside the index"),
      (#"{"weight_map": {"a": "none.safetensors"}}"#, "none.safetensors: cannot be read"),
      (#"{"weight_map": {"absent": "part.safetensors"}}"#, "tensor 'absent' is missing"),
    ]
    for (json, mention) in indexes {
      let folder = try TemporaryFolder()
      try folder.write(TinyModel.configuration(), to: "config.json")
      try folder.write(json, to: "model.safetensors.index.json")
      try SafetensorsWriter.write([.init(name: "a", shape: [1], floats: [1])], to: folder.file("part.safetensors"))
      let message = try Self.loadFailure(folder)
      #expect(message.contains(mention), "\(message)")
    }
  }

  /// What a matrix and a vector become under each precision, from each stored type.
  @Test func precisions() throws {
    let backend = try Backends.cpu.make()
    let values: [Float] = [1, -2.5, 0.333_333_34, 1e-3]
    let folder = try TemporaryFolder()
    try SafetensorsWriter.write(
      [
        .init(name: "f32", shape: [2, 2], floats: values), .init(name: "vector", shape: [4], floats: values),
        .init(name: "f16", type: .f16, shape: [2, 2]) {
          values.map { HalfPrecision.f16($0) }.withUnsafeBytes { Data($0) }
        },
        .init(name: "bf16", type: .bf16, shape: [2, 2]) {
          values.map { HalfPrecision.bf16($0) }.withUnsafeBytes { Data($0) }
        },
      ], to: folder.file("model.safetensors"))
    let checkpoint = try Checkpoint(directory: folder.url)
    let rounded: [String: [Float]] = [
      "f32": values, "vector": values, "f16": values.map { HalfPrecision.float(f16: HalfPrecision.f16($0)) },
      "bf16": values.map { HalfPrecision.float(bf16: HalfPrecision.bf16($0)) },
    ]
    for name in ["f32", "f16", "bf16"] {
      let stored = try #require(DType(rawValue: name))
      for precision in WeightPrecision.allCases {
        let tensor = try checkpoint.load(name, shape: [2, 2], precision: precision, on: backend)
        #expect(tensor.dtype == (DType(rawValue: precision.rawValue) ?? stored))
        // Gathering widens to f32, whatever the type.
        let got = try backend.values(try backend.gatherRows(tensor, try backend.indices([0, 1])))
        let narrow = rounded[name] ?? []
        let expected =
          switch tensor.dtype {
          case .bf16: narrow.map { HalfPrecision.float(bf16: HalfPrecision.bf16($0)) }
          case .f16: narrow.map { HalfPrecision.float(f16: HalfPrecision.f16($0)) }
          default: narrow
          }
        #expect(got == expected, "\(name) kept as \(precision)")
      }
    }
    #expect(try checkpoint.load("vector", shape: [4], precision: .bf16, on: backend).dtype == .f32)
  }
}
