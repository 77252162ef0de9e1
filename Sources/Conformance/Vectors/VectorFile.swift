import Compute
import Foundation
import LanguageModels

/// A test vector from outside: one call of one operation, and what must come out.
struct VectorFile {
  struct Tolerance: Decodable {
    var absolute: Double
    var relative: Double

    init(absolute: Double, relative: Double) {
      self.absolute = absolute
      self.relative = relative
    }

    private enum CodingKeys: String, CodingKey { case absolute, relative }

    init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      absolute = try container.decodeIfPresent(Double.self, forKey: .absolute) ?? 0
      relative = try container.decodeIfPresent(Double.self, forKey: .relative) ?? 0
    }
  }

  let operation: String
  let attributes: [String: AttributeValue]
  let tolerances: [String: Tolerance]
  let inputs: [Int: HostTensor]
  let outputs: [Int: HostTensor]
  let cotangent: HostTensor?
  let gradients: [Int: HostTensor]

  /// - Throws: `ConformanceError.brokenVector`, or the checkpoint reader's own error for a broken file.
  init(url: URL) throws {
    let file = try SafetensorsFile(url: url)
    guard let operation = file.metadata["operation"] else {
      throw ConformanceError.brokenVector("no `operation` in the metadata")
    }
    self.operation = operation
    attributes = try Self.object("attributes", of: file, as: AttributeValue.self)
    tolerances = try Self.object("tolerance", of: file, as: Tolerance.self)
    var tensors: [String: [Int: HostTensor]] = [:]
    for entry in file.entries.values {
      let parts = entry.name.split(separator: ".", omittingEmptySubsequences: false)
      guard parts.count == 2, let index = Int(parts[1]), index >= 0, "\(index)" == parts[1],
        ["input", "output", "cotangent", "gradient"].contains(parts[0])
      else { throw ConformanceError.brokenVector("tensor `\(entry.name)` is no input, output, cotangent or gradient") }
      tensors[String(parts[0]), default: [:]][index] = try Self.tensor(entry, of: file)
    }
    inputs = tensors["input"] ?? [:]
    outputs = tensors["output"] ?? [:]
    gradients = tensors["gradient"] ?? [:]
    for index in tensors["cotangent", default: [:]].keys.sorted() where index != 0 {
      throw ConformanceError.brokenVector("cotangent.\(index): only output 0 has a cotangent")
    }
    cotangent = tensors["cotangent"]?[0]
    guard !outputs.isEmpty || !gradients.isEmpty else {
      throw ConformanceError.brokenVector("no output.N or gradient.N to compare with")
    }
    guard gradients.isEmpty || cotangent != nil else {
      throw ConformanceError.brokenVector("gradients without cotangent.0")
    }
    guard cotangent == nil || cotangent?.dtype == .f32 else {
      throw ConformanceError.brokenVector("cotangent.0 is not F32")
    }
    for name in tolerances.keys.sorted() where file.entries[name] == nil {
      throw ConformanceError.brokenVector("a tolerance for `\(name)`, which is not there")
    }
  }

  private static func object<Value: Decodable>(_ key: String, of file: SafetensorsFile, as type: Value.Type) throws
    -> [String: Value]
  {
    guard let text = file.metadata[key] else { return [:] }
    do {
      return try JSONDecoder().decode([String: Value].self, from: Data(text.utf8))
    } catch {
      throw ConformanceError.brokenVector("metadata `\(key)` is not the JSON object it should be")
    }
  }

  private static func tensor(_ entry: SafetensorsFile.Entry, of file: SafetensorsFile) throws -> HostTensor {
    func elements<Element>(_ type: Element.Type) -> [Element] {
      file.withBytes(of: entry) { bytes in
        (0..<entry.shape.count).map {
          bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Element>.size, as: type)
        }
      }
    }
    return switch entry.type {
    case .f32: HostTensor(entry.shape, .f32(elements(UInt32.self).map { Float(bitPattern: UInt32(littleEndian: $0)) }))
    case .bf16: HostTensor(entry.shape, .bf16(elements(UInt16.self).map(UInt16.init(littleEndian:))))
    case .f16: HostTensor(entry.shape, .f16(elements(UInt16.self).map(UInt16.init(littleEndian:))))
    case .i32: HostTensor(entry.shape, .i32(elements(Int32.self).map(Int32.init(littleEndian:))))
    default: throw ConformanceError.brokenVector("tensor `\(entry.name)` has dtype \(entry.type.rawValue)")
    }
  }
}
