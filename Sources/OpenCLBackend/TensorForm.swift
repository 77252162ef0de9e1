import Compute

/// How the `gpu` products of operands rounded to bfloat16 use tensor cores (matmul_tensor.cl); the raw values are those
/// of fragments.cl.
enum TensorForm: Int, CaseIterable {
  /// Step by step, on any device, to check the kernel.
  case emulated
  /// By the instructions for it.
  case instruction

  /// How B may be stored.
  static let typesOfB = [DType.f32, .bf16]

  /// The least compute capability, its first number, that multiplies bfloat16 matrices.
  static let leastCapability = 8

  /// Why the emulated form cannot run on a device; nil if it can.
  ///
  /// A work-group keeps two tiles of each operand, of 64 or 128 rows of 20 words, and the fragments of 4 or 8 warps.
  static func obstacle(on device: OpenCLDevice, largeTiles: Bool) -> String? {
    let chunks = largeTiles ? 2 : 1
    let needed = chunks * (2 * 2 * 64 * 20 * 4 + 4 * (16 * 16 + 16 * 8) * 2)
    guard device.localMemoryBytes < needed else { return nil }
    return "\(needed) bytes of local memory are needed, the device has \(device.localMemoryBytes)"
  }
}

extension OpenCLDevice {
  /// Whether the device has instructions for products of bfloat16 matrices that its compiler takes.
  ///
  /// Only NVIDIA's drivers tell a compute capability, and their OpenCL C takes instructions of theirs.
  public var hasTensorCores: Bool { kind == .gpu && (computeCapability ?? 0) >= TensorForm.leastCapability }
}
