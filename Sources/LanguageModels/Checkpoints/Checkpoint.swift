import Compute
import Foundation

/// How frozen weights are kept on the device.
public enum WeightPrecision: String, Sendable, CaseIterable, Codable {
  /// As in the checkpoint.
  case checkpoint
  case f32
  case bf16
  case f16

  func dtype(for stored: DType) -> DType {
    switch self {
    case .checkpoint: stored
    case .f32: .f32
    case .bf16: .bf16
    case .f16: .f16
    }
  }
}

/// The tensors of a model directory: `model.safetensors`, or the shards that `model.safetensors.index.json` lists.
public struct Checkpoint {
  /// The file to name in messages.
  public let url: URL
  private let files: [SafetensorsFile]
  private let places: [String: Int]

  /// Opens and maps the files.
  ///
  /// - Throws: `CheckpointError` for a missing or broken file, and for a PyTorch file without a safetensors one.
  public init(directory: URL) throws {
    let single = directory.appendingPathComponent("model.safetensors")
    let index = directory.appendingPathComponent("model.safetensors.index.json")
    if FileManager.default.fileExists(atPath: single.path) {
      url = single
      files = [try SafetensorsFile(url: single)]
      places = files[0].entries.mapValues { _ in 0 }
    } else if FileManager.default.fileExists(atPath: index.path) {
      url = index
      (files, places) = try Self.shards(index, directory)
    } else if let file = ["pytorch_model.bin", "pytorch_model.bin.index.json"].first(where: {
      FileManager.default.fileExists(atPath: directory.appendingPathComponent($0).path)
    }) {
      throw CheckpointError.unsupported(
        path: directory.appendingPathComponent(file).path,
        reason:
          "PyTorch files are not read; convert it with: python tools/convert-checkpoint.py --keep-types \(directory.path) OUTPUT"
      )
    } else {
      throw CheckpointError.unreadable(path: single.path, reason: "no such file")
    }
  }

  private static func shards(_ index: URL, _ directory: URL) throws -> ([SafetensorsFile], [String: Int]) {
    let data = try CheckpointError.map(index)
    guard let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any],
      let map = object["weight_map"] as? [String: String]
    else { throw CheckpointError.malformed(path: index.path, reason: "no 'weight_map' from tensor names to files") }
    let names = Set(map.values).sorted()
    let files = try names.map { name in
      guard !name.contains("/") else {
        throw CheckpointError.malformed(path: index.path, reason: "'\(name)' is not a file beside the index")
      }
      return try SafetensorsFile(url: directory.appendingPathComponent(name))
    }
    var places: [String: Int] = [:]
    for (tensor, name) in map {
      guard let place = names.firstIndex(of: name), files[place].entries[tensor] != nil else {
        throw CheckpointError.missingTensor(path: directory.appendingPathComponent(name).path, name: tensor)
      }
      places[tensor] = place
    }
    return (files, places)
  }

  /// The names of all tensors, sorted.
  public var names: [String] { places.keys.sorted() }

  public func contains(_ name: String) -> Bool { places[name] != nil }

  /// The shape of a tensor, if there is one of that name.
  public func shape(_ name: String) -> Shape? {
    places[name].flatMap { files[$0].entries[name]?.shape }
  }

  /// Whether two stored tensors are equal in type, shape and every byte.
  ///
  /// - Throws: `CheckpointError.missingTensor`.
  func holdSameBytes(_ first: String, _ second: String) throws -> Bool {
    let (firstFile, firstEntry) = try place(first)
    let (secondFile, secondEntry) = try place(second)
    guard firstEntry.type == secondEntry.type, firstEntry.shape == secondEntry.shape else { return false }
    defer {
      firstFile.release(firstEntry)
      secondFile.release(secondEntry)
    }
    return firstFile.withBytes(of: firstEntry) { bytes in
      secondFile.withBytes(of: secondEntry) { other in
        guard let left = bytes.baseAddress, let right = other.baseAddress else { return true }
        return memcmp(left, right, bytes.count) == 0
      }
    }
  }

  private func place(_ name: String) throws -> (SafetensorsFile, SafetensorsFile.Entry) {
    guard let place = places[name], let entry = files[place].entries[name] else {
      throw CheckpointError.missingTensor(path: url.path, name: name)
    }
    return (files[place], entry)
  }

  /// The bytes of all tensors as they would be kept on a device.
  func keptBytes(_ precision: WeightPrecision) -> Int {
    files.flatMap { $0.entries.values }.reduce(0) { sum, entry in
      let stored = entry.type.dtype ?? .f32
      let kept = entry.shape.rank < 2 ? .f32 : precision.dtype(for: stored)
      return sum + entry.shape.count * kept.byteCount
    }
  }

  /// The bytes of all tensors.
  public var byteCount: Int { files.reduce(0) { $0 + $1.entries.values.reduce(0) { $0 + $1.bytes.count } } }

  /// Puts a tensor on a device.
  ///
  /// - Parameters:
  ///   - shape: what the configuration asks for.
  ///   - precision: how a matrix is kept; vectors are always f32.
  /// - Parameter isFrozen: its elements will not change, so that a device may read them where they lie in the file.
  /// - Throws: `CheckpointError.missingTensor`, `.wrongShape`, `.malformed` for a type that is not floating-point.
  public func load(
    _ name: String, shape: Shape, precision: WeightPrecision, isFrozen: Bool = false, on backend: any ComputeBackend
  ) throws -> Tensor {
    let (file, entry) = try place(name)
    guard entry.shape == shape else {
      throw CheckpointError.wrongShape(path: file.url.path, name: name, found: entry.shape, expected: shape)
    }
    guard let stored = entry.type.dtype, stored.isFloatingPoint else {
      throw CheckpointError.malformed(
        path: file.url.path,
        reason: "tensor '\(name)' has dtype \(entry.type.rawValue); F32, F16 and BF16 are supported")
    }
    let wanted = shape.rank < 2 ? .f32 : precision.dtype(for: stored)
    if isFrozen, wanted == stored, let tensor = try file.borrow(entry, wanted, on: backend) { return tensor }
    let tensor = try backend.allocate(shape, wanted)
    guard !tensor.isEmpty else { return tensor }
    defer { file.release(entry) }
    if wanted == stored {
      try file.withBytes(of: entry) { try backend.write($0, to: tensor) }
    } else {
      try convert(entry, of: file, to: tensor, on: backend)
    }
    return tensor
  }

  /// Elements that are converted at a time.
  private static let chunk = 1 << 20

  /// Writes a tensor in another type, part by part, so that little of it lies on the host.
  private func convert(
    _ entry: SafetensorsFile.Entry, of file: SafetensorsFile, to tensor: Tensor, on backend: any ComputeBackend
  ) throws {
    let rows = try tensor.reshaped([tensor.count, 1])
    for start in stride(from: 0, to: tensor.count, by: Self.chunk) {
      let range = start..<min(start + Self.chunk, tensor.count)
      let values = try file.floats(of: entry, in: range)
      let part = try rows.rows(range)
      switch tensor.dtype {
      case .bf16: try values.map(HalfPrecision.bf16).withUnsafeBytes { try backend.write($0, to: part) }
      case .f16: try values.map(HalfPrecision.f16).withUnsafeBytes { try backend.write($0, to: part) }
      default: try values.withUnsafeBytes { try backend.write($0, to: part) }
      }
    }
  }
}
