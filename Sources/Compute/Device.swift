/// What a device is, for people and for `--device`.
public struct DeviceDescription: Sendable, Hashable {
  public enum Kind: String, Sendable, Hashable {
    case cpu
    case opencl
  }

  /// What `--device` takes: `cpu`, `opencl:0.0`.
  public var id: String
  /// The device's own name.
  public var name: String
  public var kind: Kind
  /// Bytes of memory the device can use.
  public var memoryBytes: Int
  /// Cores or compute units.
  public var computeUnits: Int
  /// Numbers below 2^-126 may be taken for 0, as inputs and as results, which OpenCL allows.
  public var flushesDenormals: Bool
  /// Further facts by name (`platform`, `driver`, `version`, `instruction set`), in the order to print them.
  public var details: [(name: String, value: String)] { detailList.map { ($0.name, $0.value) } }

  private struct Detail: Sendable, Hashable {
    var name: String
    var value: String
  }

  private var detailList: [Detail]

  public init(
    id: String, name: String, kind: Kind, memoryBytes: Int, computeUnits: Int,
    flushesDenormals: Bool = false, details: [(name: String, value: String)] = []
  ) {
    self.id = id
    self.name = name
    self.kind = kind
    self.memoryBytes = memoryBytes
    self.computeUnits = computeUnits
    self.flushesDenormals = flushesDenormals
    self.detailList = details.map { Detail(name: $0.name, value: $0.value) }
  }
}

/// Bytes of device memory that a backend has handed out.
public struct MemoryUsage: Sendable, Hashable {
  /// Bytes in tensors that are alive, repacked weights and those that are read in a mapped file included.
  public var current: Int
  /// The largest `current` so far.
  public var peak: Int
  /// Bytes kept by the backend's pool for reuse.
  public var pooled: Int

  public init(current: Int = 0, peak: Int = 0, pooled: Int = 0) {
    self.current = current
    self.peak = peak
    self.pooled = pooled
  }
}
