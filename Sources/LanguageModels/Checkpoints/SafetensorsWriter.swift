import Compute
import Foundation

/// Writes safetensors files, whole or not at all.
public enum SafetensorsWriter {
  /// One tensor to write: bytes are asked for when their turn comes, so that only one tensor is on the host at a time.
  public struct Item {
    public let name: String
    public let type: SafetensorsFile.ElementType
    public let shape: Shape
    public let bytes: () throws -> Data

    public init(name: String, type: SafetensorsFile.ElementType, shape: Shape, bytes: @escaping () throws -> Data) {
      self.name = name
      self.type = type
      self.shape = shape
      self.bytes = bytes
    }

    /// An f32 tensor from values on the host.
    public init(name: String, shape: Shape, floats: [Float]) {
      self.init(name: name, type: .f32, shape: shape) { floats.withUnsafeBytes { Data($0) } }
    }

    /// A tensor as it lies on a device.
    public init(name: String, tensor: Tensor, on backend: any ComputeBackend) {
      let type: SafetensorsFile.ElementType =
        switch tensor.dtype {
        case .f32: .f32
        case .bf16: .bf16
        case .f16: .f16
        case .i32: .i32
        }
      self.init(name: name, type: type, shape: tensor.shape) {
        var data = Data(count: tensor.byteCount)
        if !tensor.isEmpty { try data.withUnsafeMutableBytes { try backend.read(tensor, into: $0) } }
        return data
      }
    }
  }

  private struct Header: Encodable {
    let dtype: String
    let shape: [Int]
    let data_offsets: [Int]
  }

  /// Writes the items, sorted by name.
  ///
  /// - Throws: `CheckpointError.unwritable`.
  public static func write(_ items: [Item], metadata: [String: String] = ["format": "pt"], to url: URL) throws {
    let items = items.sorted { $0.name < $1.name }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    var parts = ["\"__metadata__\":" + String(decoding: try encoder.encode(metadata), as: UTF8.self)]
    var offset = 0
    for item in items {
      let end = offset + item.shape.count * item.type.byteCount
      let header = Header(dtype: item.type.rawValue, shape: item.shape.dimensions, data_offsets: [offset, end])
      parts.append(
        String(decoding: try encoder.encode(item.name), as: UTF8.self) + ":"
          + String(decoding: try encoder.encode(header), as: UTF8.self))
      offset = end
    }
    var header = Data(("{" + parts.joined(separator: ",") + "}").utf8)
    // The format wants the tensors to start at a multiple of eight bytes.
    header.append(Data(repeating: UInt8(ascii: " "), count: (8 - header.count % 8) % 8))
    let file = try AtomicFile(url)
    try withUnsafeBytes(of: UInt64(header.count).littleEndian) { try file.write($0) }
    try file.write(header)
    for item in items {
      let bytes = try item.bytes()
      precondition(bytes.count == item.shape.count * item.type.byteCount, "a tensor has other bytes than its shape")
      try file.write(bytes)
    }
    try file.commit()
  }
}
