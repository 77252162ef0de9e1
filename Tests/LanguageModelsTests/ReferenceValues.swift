import Compute
import Foundation
import LanguageModels
import TestSupport
import Testing

/// A committed checkpoint with what transformers computes from it.
struct ReferenceValues {
  let directory: URL
  let expected: SafetensorsFile

  init(_ name: String) throws {
    directory = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures/\(name)")
    expected = try SafetensorsFile(url: directory.appendingPathComponent("expected.safetensors"))
  }

  /// The numbers from 0 on for which there is a tensor `name.number`.
  func numbers(of name: String) -> [Int] { (0...).prefix { has("\(name).\($0)") } }

  func has(_ name: String) -> Bool { expected.entries[name] != nil }

  func integers(_ name: String) throws -> [Int32] {
    try expected.integers(of: try #require(expected.entries[name], "\(name)"))
  }

  func floats(_ name: String) throws -> [Float] {
    try expected.floats(of: try #require(expected.entries[name], "\(name)"))
  }

  /// The largest difference may be a part of the largest expected value.
  func expectClose(
    _ got: [Float], _ name: String, relative: Double, at location: SourceLocation = #_sourceLocation
  ) throws {
    let values = try floats(name)
    let largest = values.reduce(0) { max($0, Double(abs($1))) }
    TestSupport.expectClose(
      got, values, within: relative * largest, .absolute, Comment(rawValue: name), sourceLocation: location)
  }
}

/// The bytes of tensors, whatever their type.
enum TensorBytes {
  static func of(_ tensor: Tensor, on backend: any ComputeBackend) throws -> Data {
    var data = Data(count: tensor.byteCount)
    try data.withUnsafeMutableBytes { try backend.read(tensor, into: $0) }
    return data
  }
}
