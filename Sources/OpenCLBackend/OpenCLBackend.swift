import COpenCL
import Compute
import Kernels

/// Compute on one OpenCL 1.2 device.
///
/// Commands go to one in-order queue and are not waited for; `read`, `synchronize` and the reductions wait. An instance
/// is used from one thread at a time.
public final class OpenCLBackend: ComputeBackend {
  /// The device as its driver describes it.
  public let openCLDevice: OpenCLDevice
  /// The kernels in use.
  public let variants: KernelVariants

  let pool: BufferPool
  let programs: ProgramStore
  let queue: CommandQueue
  let prefersLargeTiles: Bool
  let hasExactBuffers: Bool
  let allowsDotProducts: Bool
  /// Whether the processor has an instruction for dot products of bfloat16 pairs; nil before it was asked.
  var hasDotProducts: Bool?
  var relativeBuckets: [RelativeBuckets: Tensor] = [:]

  /// Opens a device.
  ///
  /// Kernels are built when they are first used.
  ///
  /// - Throws: `ComputeError.noSuchDevice` if it is gone or cannot be used, `.invalidArgument` if it cannot run the
  ///   wanted variant, `.deviceFailure` if the driver refuses.
  public init(device: OpenCLDevice, options: OpenCLOptions = OpenCLOptions()) throws {
    if let reason = device.unusableReason {
      throw ComputeError.noSuchDevice("\(device.id) (\(device.name)) cannot be used: \(reason)")
    }
    variants = try Self.variants(for: device, options)
    openCLDevice = device
    prefersLargeTiles = options.prefersLargeTiles
    hasExactBuffers = options.exactBuffers
    allowsDotProducts = try options.allowsDotProducts ?? OpenCLOptions.dotProductsFromEnvironment() ?? true
    let handles = try OpenCLDevices.handles(of: device)
    var status: cl_int = CL_SUCCESS
    var target: cl_device_id? = handles.device
    let properties: [cl_context_properties] = [
      cl_context_properties(CL_CONTEXT_PLATFORM), cl_context_properties(Int(bitPattern: handles.platform)), 0,
    ]
    guard let context = clCreateContext(properties, 1, &target, nil, nil, &status), status == CL_SUCCESS else {
      throw ComputeError.deviceFailure(
        device: device.id, code: OpenCLStatus.name(status), operation: "clCreateContext", detail: device.name)
    }
    defer { clReleaseContext(context) }
    queue = try CommandQueue(
      context: context, handle: handles.device, device: device, writesWhole: options.exactBuffers)
    pool = BufferPool(
      context: context, device: device, limit: options.poolLimit ?? device.memoryBytes / 4,
      sizes: options.exactBuffers ? .exact : .pooled)
    programs = ProgramStore(
      context: context, handle: handles.device, device: device, library: KernelLibrary(folder: options.kernelFolder),
      cache: ProgramCache(folder: options.cacheFolder))
  }

  /// The form that somebody chose, else what `softprompt tune` found, else the one that suits the device.
  private static func variants(for device: OpenCLDevice, _ options: OpenCLOptions) throws -> KernelVariants {
    if let variant = try options.variant ?? OpenCLOptions.variantFromEnvironment() {
      if let obstacle = variant.obstacle(on: device) {
        throw ComputeError.invalidArgument(operation: "\(device.id), kernel variant \(variant.rawValue)", obstacle)
      }
      return KernelVariants(variant)
    }
    let record = try options.cacheFolder.flatMap { try TuningRecord.read(device, in: $0) }
    return record?.variants ?? KernelVariants(.suited(to: device))
  }

  deinit { try? queue.finish() }

  public var device: DeviceDescription { openCLDevice.description }
  public var memory: MemoryUsage { pool.usage }

  /// Returns the pool's unused memory to the driver.
  public func releaseUnusedMemory() { pool.trim() }

  // MARK: - Memory

  public func allocate(_ shape: Shape, _ dtype: DType) throws -> Tensor {
    Tensor(storage: try storage(shape.count * dtype.byteCount), shape: shape, dtype: dtype)
  }

  func storage(_ byteCount: Int) throws -> OpenCLStorage {
    let storage = OpenCLStorage(byteCount: byteCount, buffer: try pool.take(byteCount), pool: pool)
    if hasExactBuffers { try queue.poison(storage.buffer()) }
    return storage
  }

  public func write(_ bytes: UnsafeRawBufferPointer, to tensor: Tensor) throws {
    try requireBytes(bytes.count, tensor, "write")
    guard !tensor.isEmpty else { return }
    let buffer = try storage(of: tensor).buffer()
    storage(of: tensor).packs = [:]
    try queue.write(bytes, to: buffer, at: tensor.offset * tensor.dtype.byteCount)
  }

  public func read(_ tensor: Tensor, into bytes: UnsafeMutableRawBufferPointer) throws {
    try requireBytes(bytes.count, tensor, "read")
    guard !tensor.isEmpty else { return }
    try queue.read(buffer(of: tensor), at: tensor.offset * tensor.dtype.byteCount, into: bytes)
  }

  private func requireBytes(_ count: Int, _ tensor: Tensor, _ operation: String) throws {
    guard count == tensor.byteCount else {
      throw ComputeError.invalidArgument(
        operation: operation, "\(count) bytes for a tensor \(tensor.shape) of \(tensor.byteCount)")
    }
  }

  public func fill(_ tensor: Tensor, with value: Float) throws {
    try queue.fill(buffer(of: tensor), with: value, at: tensor.offset * 4, count: tensor.count)
  }

  public func copy(_ source: Tensor, to destination: Tensor) throws {
    precondition(source.dtype == destination.dtype && source.count == destination.count, "same type and count")
    guard !source.isEmpty else { return }
    try queue.copy(
      buffer(of: source), at: source.offset * source.dtype.byteCount, to: buffer(of: destination),
      at: destination.offset * source.dtype.byteCount, byteCount: source.byteCount)
  }

  public func owns(_ tensor: Tensor) -> Bool { (tensor.storage as? OpenCLStorage)?.belongs(to: pool) == true }

  public func synchronize() throws { try queue.finish() }

  public func recordCommands(in profile: Profile) throws -> Bool {
    let handles = try OpenCLDevices.handles(of: openCLDevice)
    try queue.record(in: profile, context: pool.context, handle: handles.device)
    return true
  }

  func storage(of tensor: Tensor) -> OpenCLStorage {
    guard let storage = tensor.storage as? OpenCLStorage else {
      preconditionFailure("a tensor of another backend")
    }
    return storage
  }

  func buffer(of tensor: Tensor) throws -> DeviceBuffer { try storage(of: tensor).buffer() }
}
