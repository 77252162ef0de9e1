import Compute
import Foundation

/// A safetensors file, memory-mapped: a header with names, types, shapes and places, and the bytes behind it.
public struct SafetensorsFile {
  /// The element types of the format.
  public enum ElementType: String, Sendable, CaseIterable {
    case bool = "BOOL"
    case u8 = "U8"
    case i8 = "I8"
    case i16 = "I16"
    case u16 = "U16"
    case f16 = "F16"
    case bf16 = "BF16"
    case i32 = "I32"
    case u32 = "U32"
    case f32 = "F32"
    case f64 = "F64"
    case i64 = "I64"
    case u64 = "U64"

    public var byteCount: Int {
      switch self {
      case .bool, .u8, .i8: 1
      case .i16, .u16, .f16, .bf16: 2
      case .i32, .u32, .f32: 4
      case .f64, .i64, .u64: 8
      }
    }

    /// The element type on a device, where there is one.
    public var dtype: DType? {
      switch self {
      case .f32: .f32
      case .bf16: .bf16
      case .f16: .f16
      case .i32: .i32
      default: nil
      }
    }
  }

  /// One tensor of a file.
  public struct Entry: Sendable {
    public let name: String
    public let type: ElementType
    public let shape: Shape
    /// Its bytes, relative to the end of the header.
    public let bytes: Range<Int>
  }

  public let url: URL
  /// `__metadata__`, all strings.
  public let metadata: [String: String]
  /// By name.
  public let entries: [String: Entry]
  private let file: MappedFile
  private let dataStart: Int

  /// Headers beyond this many bytes are refused, as in the reference implementation.
  static let largestHeader = 100_000_000

  /// Maps a file and checks its header: types, sizes, offsets in range, no overlap, no hole.
  ///
  /// - Throws: `CheckpointError`.
  public init(url: URL) throws {
    self.url = url
    file = try MappedFile(url)
    let contents = file.bytes
    func broken(_ reason: String) -> CheckpointError { .malformed(path: url.path, reason: reason) }
    guard contents.count >= 8 else {
      throw broken("not a safetensors file: \(contents.count) bytes, at least 8 are needed")
    }
    let length = UInt64(littleEndian: contents.loadUnaligned(as: UInt64.self))
    guard length <= UInt64(Self.largestHeader) else {
      throw broken("absurd header length of \(length) bytes")
    }
    guard Int(length) <= contents.count - 8 else {
      throw broken("truncated: a header of \(length) bytes in a file of \(contents.count)")
    }
    dataStart = 8 + Int(length)
    let header = contents[8..<dataStart]
    guard let object = try? JSONSerialization.jsonObject(with: Data(header)) as? [String: Any] else {
      throw broken("the header is not a JSON object")
    }
    var metadata: [String: String] = [:]
    var entries: [String: Entry] = [:]
    for (name, value) in object {
      if name == "__metadata__" {
        guard let strings = value as? [String: String] else { throw broken("__metadata__ holds more than strings") }
        metadata = strings
      } else {
        entries[name] = try Self.entry(name, value, available: contents.count - dataStart, broken)
      }
    }
    self.metadata = metadata
    self.entries = entries
    var end = 0
    for entry in entries.values.sorted(by: {
      ($0.bytes.lowerBound, $0.bytes.upperBound) < ($1.bytes.lowerBound, $1.bytes.upperBound)
    }) {
      guard entry.bytes.lowerBound >= end else { throw broken("tensor '\(entry.name)' overlaps another one") }
      guard entry.bytes.lowerBound == end else { throw broken("a hole before tensor '\(entry.name)'") }
      end = entry.bytes.upperBound
    }
    guard end == contents.count - dataStart else {
      throw broken("\(contents.count - dataStart - end) bytes behind the last tensor")
    }
  }

  private static func entry(
    _ name: String, _ value: Any, available: Int, _ broken: (String) -> CheckpointError
  ) throws -> Entry {
    guard let object = value as? [String: Any], let typeName = object["dtype"] as? String,
      let dimensions = object["shape"] as? [Int], let offsets = object["data_offsets"] as? [Int], offsets.count == 2
    else { throw broken("tensor '\(name)' lacks dtype, shape or data_offsets") }
    guard let type = ElementType(rawValue: typeName) else {
      throw broken("tensor '\(name)' has the unknown dtype '\(typeName)'")
    }
    guard dimensions.allSatisfy({ $0 >= 0 }) else { throw broken("tensor '\(name)' has a negative dimension") }
    guard offsets[0] >= 0, offsets[0] <= offsets[1], offsets[1] <= available else {
      throw broken(
        "truncated: tensor '\(name)' lies at \(offsets[0])..<\(offsets[1]) of \(available) bytes")
    }
    var size = type.byteCount
    for dimension in dimensions {
      let (product, overflow) = size.multipliedReportingOverflow(by: dimension)
      guard !overflow else { throw broken("tensor '\(name)' has an absurd shape \(dimensions)") }
      size = product
    }
    guard size == offsets[1] - offsets[0] else {
      throw broken(
        "tensor '\(name)' of shape \(dimensions) and dtype \(typeName) needs \(size) bytes, has \(offsets[1] - offsets[0])"
      )
    }
    return Entry(name: name, type: type, shape: Shape(dimensions), bytes: offsets[0]..<offsets[1])
  }

  /// The bytes of a tensor, little-endian and not necessarily aligned.
  public func withBytes<Result>(of entry: Entry, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try withExtendedLifetime(file) { try body(UnsafeRawBufferPointer(rebasing: file.bytes[place(of: entry)])) }
  }

  /// The tensor, read where it lies in the file; nil if the device cannot do so.
  func borrow(_ entry: Entry, _ dtype: DType, on backend: any ComputeBackend) throws -> Tensor? {
    try backend.borrow(place(of: entry), of: file, entry.shape, dtype)
  }

  /// Gives back the memory that reading a tensor took; its bytes stay readable.
  func release(_ entry: Entry) { file.release(place(of: entry)) }

  private func place(of entry: Entry) -> Range<Int> {
    dataStart + entry.bytes.lowerBound..<dataStart + entry.bytes.upperBound
  }

  /// The elements of an F32, BF16 or F16 tensor, widened to f32.
  ///
  /// - Parameter range: which of them; all if nil.
  /// - Throws: `CheckpointError.malformed` for another type.
  public func floats(of entry: Entry, in range: Range<Int>? = nil) throws -> [Float] {
    let range = range ?? 0..<entry.shape.count
    return try withBytes(of: entry) { all in
      let size = entry.type.byteCount
      let bytes = UnsafeRawBufferPointer(rebasing: all[range.lowerBound * size..<range.upperBound * size])
      switch entry.type {
      case .f32:
        return [Float](unsafeUninitializedCapacity: range.count) { buffer, count in
          UnsafeMutableRawBufferPointer(buffer).copyMemory(from: bytes)
          count = range.count
        }
      case .bf16, .f16:
        let widen = entry.type == .bf16 ? HalfPrecision.float(bf16:) : HalfPrecision.float(f16:)
        return range.indices.map {
          widen(bytes.loadUnaligned(fromByteOffset: 2 * ($0 - range.lowerBound), as: UInt16.self))
        }
      default:
        throw CheckpointError.malformed(
          path: url.path, reason: "tensor '\(entry.name)' has dtype \(entry.type.rawValue), not a floating-point one")
      }
    }
  }

  /// The elements of an I32 tensor.
  ///
  /// - Throws: `CheckpointError.malformed` for another type.
  public func integers(of entry: Entry) throws -> [Int32] {
    guard entry.type == .i32 else {
      throw CheckpointError.malformed(
        path: url.path, reason: "tensor '\(entry.name)' has dtype \(entry.type.rawValue), not I32")
    }
    return withBytes(of: entry) { bytes in
      (0..<entry.shape.count).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self) }
    }
  }
}
