/// Memory on a device, and the way in and out of it.
///
/// A backend works in the order it is called: what is written before a call is seen by it. Calls may return before the
/// device has finished; `read` and `synchronize` wait. A backend is used from one thread at a time.
public protocol DeviceMemory: AnyObject {
  var device: DeviceDescription { get }
  var memory: MemoryUsage { get }

  /// Memory for a tensor; its contents are undefined.
  ///
  /// - Throws: `ComputeError.outOfMemory`.
  func allocate(_ shape: Shape, _ dtype: DType) throws -> Tensor

  /// A tensor whose elements stay where they lie in memory of the host; nil if the device cannot work on them there.
  ///
  /// The tensor keeps the memory alive. It is not counted in `memory`: the system takes back what was not written when
  /// it is short. The default body returns nil.
  ///
  /// - Parameter range: of the memory's bytes, as many as the tensor has.
  func borrow(_ range: Range<Int>, of memory: any HostMemory, _ shape: Shape, _ dtype: DType) throws -> Tensor?

  /// Copies bytes from the host into a tensor of exactly that many bytes.
  func write(_ bytes: UnsafeRawBufferPointer, to tensor: Tensor) throws

  /// Waits for the device and copies a tensor of exactly that many bytes to the host.
  func read(_ tensor: Tensor, into bytes: UnsafeMutableRawBufferPointer) throws

  /// Sets every element of an `f32` tensor.
  func fill(_ tensor: Tensor, with value: Float) throws

  /// Copies elements between tensors of one type and count; the two do not overlap.
  func copy(_ source: Tensor, to destination: Tensor) throws

  /// Whether a tensor lies in this backend's memory.
  ///
  /// The default body says yes.
  func owns(_ tensor: Tensor) -> Bool

  /// How many objects of each kind the driver keeps for this backend (programs, kernels, ...), tensors' memory left
  /// out, after everything asked for is done.
  ///
  /// Equal calls leave equal numbers, else something is lost. The default body knows of none.
  func driverObjects() throws -> [String: Int]

  /// Waits until everything asked for so far is done.
  ///
  /// - Throws: what a kernel that was still running failed with.
  func synchronize() throws

  /// Notes in a profile when each command ran on the device, from now on.
  ///
  /// - Returns: whether it does. A backend that has finished when a call returns leaves that to the caller's clock; the
  ///   default body does so.
  func recordCommands(in profile: Profile) throws -> Bool
}

extension DeviceMemory {
  public func borrow(_ range: Range<Int>, of memory: any HostMemory, _ shape: Shape, _ dtype: DType) throws -> Tensor? {
    nil
  }
  public func owns(_ tensor: Tensor) -> Bool { true }
  public func driverObjects() throws -> [String: Int] { [:] }
  public func recordCommands(in profile: Profile) throws -> Bool { false }
}

/// A device that can train and run a transformer.
///
/// The requirements are kernels: they write into memory that they are given and rely on shapes, types and row numbers
/// having been checked. What callers use are the checked operations in the extensions (`matmul`, `softmax`, ...), one
/// file per family beside the kernels' contract, each with its vector-Jacobian products (`...Backward`). Composite
/// operations are built there from the kernels, and kernels that others can stand in for have default bodies
/// (`Defaults`), so that a new backend has little to write.
///
/// For every kernel: matrices are row-major and dense; sums accumulate in `f32` or better; an output never overlaps an
/// input unless its contract says so; the same call on the same device gives the same bits; NaN and infinity pass
/// through as IEEE arithmetic has it; an output without elements is never asked for.
public protocol ComputeBackend: DeviceMemory, MatmulKernels, SoftmaxKernels, NormalizationKernels, ActivationKernels,
  ElementwiseKernels, RowKernels, RotaryKernels, CrossEntropyKernels, AttentionKernels, OptimizerKernels,
  ReductionKernels, DropoutKernels, BuiltinKernels, PeakKernels
{
}

extension ComputeBackend {
  /// A tensor of zeros.
  public func zeros(_ shape: Shape) throws -> Tensor {
    let tensor = try allocate(shape, .f32)
    if !tensor.isEmpty { try fill(tensor, with: 0) }
    return tensor
  }

  /// A tensor with these elements in row-major order.
  ///
  /// - Throws: `ComputeError.shapeMismatch` if there are more or fewer than the shape holds.
  public func tensor(_ values: [Float], _ shape: Shape) throws -> Tensor {
    guard values.count == shape.count else {
      throw ComputeError.shapeMismatch(operation: "upload", [values.count], shape)
    }
    let tensor = try allocate(shape, .f32)
    if !tensor.isEmpty { try values.withUnsafeBytes { try write($0, to: tensor) } }
    return tensor
  }

  /// The elements of an `f32` tensor in row-major order.
  ///
  /// Waits for the device.
  public func values(_ tensor: Tensor) throws -> [Float] {
    try require(tensor, .f32, "download", "the tensor")
    guard !tensor.isEmpty else { return [] }
    var values = [Float](repeating: 0, count: tensor.count)
    try values.withUnsafeMutableBytes { try read(tensor, into: $0) }
    return values
  }

  /// The elements of an `i32` tensor.
  ///
  /// Waits for the device.
  public func integers(_ tensor: Tensor) throws -> [Int32] {
    try require(tensor, .i32, "download", "the tensor")
    guard !tensor.isEmpty else { return [] }
    var values = [Int32](repeating: 0, count: tensor.count)
    try values.withUnsafeMutableBytes { try read(tensor, into: $0) }
    return values
  }

  /// A new tensor with the same contents.
  public func duplicate(_ tensor: Tensor) throws -> Tensor {
    let result = try allocate(tensor.shape, tensor.dtype)
    if !tensor.isEmpty { try copy(tensor, to: result) }
    return result
  }

  func require(_ tensor: Tensor, _ dtype: DType, _ operation: String, _ argument: String) throws {
    guard owns(tensor) else {
      throw ComputeError.invalidArgument(operation: operation, "\(argument) lies on another device")
    }
    guard tensor.dtype == dtype else {
      throw ComputeError.unsupportedDType(operation: operation, argument: argument, tensor.dtype)
    }
  }

  func requireSameShape(_ first: Tensor, _ second: Tensor, _ operation: String) throws {
    guard first.shape == second.shape else {
      throw ComputeError.shapeMismatch(operation: operation, first.shape, second.shape)
    }
  }

  func requireShape(_ tensor: Tensor, _ shape: Shape, _ operation: String) throws {
    guard tensor.shape == shape else {
      throw ComputeError.shapeMismatch(operation: operation, tensor.shape, shape)
    }
  }
}
