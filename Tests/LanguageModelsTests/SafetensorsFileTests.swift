import Compute
import Foundation
import TestSupport
import Testing

@testable import LanguageModels

/// Files that break the safetensors format, each in one way.
@Suite struct SafetensorsFileTests {
  /// A file with this header, behind it so many bytes.
  private static func file(header: String, bytes: Int, length: UInt64? = nil) -> Data {
    let header = Data(header.utf8)
    var data = withUnsafeBytes(of: (length ?? UInt64(header.count)).littleEndian) { Data($0) }
    data.append(header)
    data.append(Data(repeating: 0, count: bytes))
    return data
  }

  private static func tensor(_ name: String, dtype: String = "F32", shape: String = "[2]", _ offsets: String)
    -> String
  { "\"\(name)\":{\"dtype\":\"\(dtype)\",\"shape\":\(shape),\"data_offsets\":\(offsets)}" }

  struct Broken: Sendable, CustomTestStringConvertible {
    var name: String
    var data: Data
    /// What the message has to mention.
    var mention: String

    var testDescription: String { name }
  }

  static let broken: [Broken] = [
    Broken(name: "empty", data: Data(), mention: "0 bytes"),
    Broken(name: "seven bytes", data: Data(repeating: 1, count: 7), mention: "7 bytes"),
    Broken(name: "header cut", data: file(header: "{}", bytes: 0, length: 50), mention: "truncated"),
    Broken(name: "absurd header", data: file(header: "{}", bytes: 0, length: .max), mention: "absurd"),
    Broken(name: "not JSON", data: file(header: "{]", bytes: 0), mention: "not a JSON object"),
    Broken(name: "an array", data: file(header: "[1]", bytes: 0), mention: "not a JSON object"),
    Broken(name: "not UTF-8", data: file(header: "{}", bytes: 0).prefix(8) + Data([0xFF, 0xFE]), mention: "JSON"),
    Broken(
      name: "deep nesting", data: file(header: String(repeating: "[", count: 100_000), bytes: 0), mention: "JSON"),
    Broken(
      name: "tensor data cut", data: file(header: "{\(tensor("a", "[0,8]"))}", bytes: 7), mention: "tensor 'a'"),
    Broken(
      name: "bytes behind", data: file(header: "{\(tensor("a", "[0,8]"))}", bytes: 9), mention: "1 bytes behind"),
    Broken(
      name: "overlap", data: file(header: "{\(tensor("a", "[0,8]")),\(tensor("b", "[4,12]"))}", bytes: 12),
      mention: "tensor 'b' overlaps"),
    Broken(
      name: "same place twice", data: file(header: "{\(tensor("a", "[0,8]")),\(tensor("b", "[0,8]"))}", bytes: 8),
      mention: "overlaps"),
    Broken(
      name: "hole", data: file(header: "{\(tensor("a", "[0,8]")),\(tensor("b", "[12,20]"))}", bytes: 20),
      mention: "hole before tensor 'b'"),
    Broken(
      name: "hole in front", data: file(header: "{\(tensor("a", "[4,12]"))}", bytes: 12),
      mention: "hole before tensor 'a'"),
    Broken(
      name: "size and shape differ",
      data: file(header: "{\(tensor("a", dtype: "F32", shape: "[3]", "[0,8]"))}", bytes: 8),
      mention: "needs 12 bytes, has 8"),
    Broken(
      name: "unknown dtype", data: file(header: "{\(tensor("a", dtype: "F8_E4M3", shape: "[8]", "[0,8]"))}", bytes: 8),
      mention: "'F8_E4M3'"),
    Broken(
      name: "negative dimension",
      data: file(header: "{\(tensor("a", dtype: "F32", shape: "[-2]", "[0,8]"))}", bytes: 8),
      mention: "negative"),
    Broken(
      name: "shape that overflows",
      data: file(
        header: "{\(tensor("a", dtype: "F32", shape: "[4611686018427387904,4611686018427387904]", "[0,8]"))}", bytes: 8),
      mention: "absurd shape"),
    Broken(
      name: "dimension beyond 64 bits",
      data: file(header: "{\(tensor("a", dtype: "F32", shape: "[99999999999999999999]", "[0,8]"))}", bytes: 8),
      mention: "tensor 'a'"),
    Broken(
      name: "negative offset", data: file(header: "{\(tensor("a", "[-8,0]"))}", bytes: 8), mention: "tensor 'a'"),
    Broken(
      name: "offsets reversed", data: file(header: "{\(tensor("a", "[8,0]"))}", bytes: 8), mention: "tensor 'a'"),
    Broken(
      name: "one offset", data: file(header: "{\(tensor("a", "[8]"))}", bytes: 8), mention: "tensor 'a' lacks"),
    Broken(
      name: "no dtype", data: file(header: "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", bytes: 8),
      mention: "tensor 'a' lacks"),
    Broken(name: "tensor is a number", data: file(header: "{\"a\":3}", bytes: 0), mention: "tensor 'a' lacks"),
    Broken(
      name: "metadata with a number", data: file(header: "{\"__metadata__\":{\"a\":3}}", bytes: 0),
      mention: "__metadata__"),
  ]

  @Test(arguments: broken) func refused(_ broken: Broken) throws {
    let folder = try TemporaryFolder()
    let url = folder.file("x.safetensors")
    try broken.data.write(to: url)
    let error = #expect(throws: CheckpointError.self) { try SafetensorsFile(url: url) }
    let message = error.map { "\($0)" } ?? ""
    #expect(message.contains(broken.mention), "\(message)")
    #expect(message.hasPrefix(url.path), "\(message)")
    #expect(!message.contains("\n"))
  }

  @Test func missingFileAndFolder() throws {
    let folder = try TemporaryFolder()
    #expect(throws: CheckpointError.self) { try SafetensorsFile(url: folder.file("none")) }
    #expect(throws: CheckpointError.self) { try SafetensorsFile(url: folder.url) }
  }

  @Test func everyPrefixOfAFileIsRefused() throws {
    let folder = try TemporaryFolder()
    let url = folder.file("whole.safetensors")
    try SafetensorsWriter.write(
      [.init(name: "a", shape: [2, 3], floats: [1, 2, 3, 4, 5, 6]), .init(name: "b", shape: [1], floats: [7])], to: url)
    let whole = try Data(contentsOf: url)
    for length in 0..<whole.count {
      let cut = folder.file("cut.safetensors")
      try whole.prefix(length).write(to: cut)
      #expect(throws: CheckpointError.self, "\(length) of \(whole.count) bytes") { try SafetensorsFile(url: cut) }
    }
  }

  @Test func roundTrip() throws {
    let folder = try TemporaryFolder()
    let url = folder.file("a.safetensors")
    let values: [Float] = [0, -0.0, 1.5, .leastNonzeroMagnitude, .greatestFiniteMagnitude, -3]
    try SafetensorsWriter.write(
      [
        .init(name: "b/ü\"", shape: [2, 3], floats: values), .init(name: "a", shape: [0, 4], floats: []),
        .init(name: "c", shape: [], floats: [4]),
      ], metadata: ["format": "pt", "note": "é"], to: url)
    let file = try SafetensorsFile(url: url)
    #expect(file.metadata == ["format": "pt", "note": "é"])
    #expect(file.entries.keys.sorted() == ["a", "b/ü\"", "c"])
    let entry = try #require(file.entries["b/ü\""])
    #expect(entry.shape == [2, 3])
    #expect(try file.floats(of: entry).map(\.bitPattern) == values.map(\.bitPattern))
    #expect(try file.floats(of: try #require(file.entries["a"])) == [])
    #expect(try file.floats(of: try #require(file.entries["c"])) == [4])
    #expect(throws: CheckpointError.self) { try file.integers(of: entry) }
  }

  @Test func nothingIsLeftOfAFileThatCannotBeWritten() throws {
    struct Interrupted: Error {}
    let folder = try TemporaryFolder()
    #expect(throws: Interrupted.self) {
      try SafetensorsWriter.write(
        [
          .init(name: "a", shape: [1], floats: [1]),
          .init(name: "b", type: .f32, shape: [1]) { throw Interrupted() },
        ], to: folder.file("x.safetensors"))
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == [])
  }
}
