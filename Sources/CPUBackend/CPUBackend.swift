import CPUTiles
import Compute
import Foundation

/// The processor as a device: all cores that the process may run on, and the widest vector instructions that it has.
///
/// Results do not depend on the number of threads.
public final class CPUBackend: ComputeBackend {
  public let device: DeviceDescription
  let workers: Workers
  let pool: MemoryPool
  let tiles: CPUTiles

  /// - Parameter threads: how many threads compute; by default one for every core that the process may run on.
  /// - Throws: `ComputeError.invalidArgument` if `threads` is below 1.
  public convenience init(threads: Int? = nil) throws {
    guard let best = InstructionSet.available.last else {
      throw ComputeError.noSuchDevice("cpu: no instruction set to run on")
    }
    try self.init(threads: threads, instructionSet: best)
  }

  /// The instruction sets that this processor runs and that there are loops for, the plainest first: `sse2`, `avx2`,
  /// `avx512`, `avx512-bf16`, `neon`.
  ///
  /// The last one is taken unless another is asked for.
  public static var instructionSets: [String] { InstructionSet.available.map(\.name) }

  /// The processor with the loops for one instruction set, which checking them needs.
  ///
  /// - Throws: `ComputeError.noSuchDevice` if this processor does not have it.
  public convenience init(threads: Int? = nil, instructionSet name: String) throws {
    guard let instructionSet = InstructionSet.available.first(where: { $0.name == name }) else {
      throw ComputeError.noSuchDevice(
        "cpu: there is no instruction set `\(name)` here; there are \(Self.instructionSets.joined(separator: ", "))")
    }
    try self.init(threads: threads, instructionSet: instructionSet)
  }

  init(threads: Int?, instructionSet: InstructionSet) throws {
    let allowed = Int(cpu_allowed_cores())
    let cores = allowed > 0 ? allowed : ProcessInfo.processInfo.activeProcessorCount
    let count = threads ?? cores
    guard count >= 1 else {
      throw ComputeError.invalidArgument(operation: "cpu", "\(count) threads")
    }
    let memory = SystemMemory.byteCount
    device = DeviceDescription(
      id: "cpu", name: ProcessorName.current, kind: .cpu, memoryBytes: memory, computeUnits: cores,
      details: [("instruction set", instructionSet.name), ("threads", "\(count)")])
    workers = Workers(count: count)
    pool = MemoryPool(device: "cpu", limit: memory)
    tiles = instructionSet.tiles.pointee
  }

  public var memory: MemoryUsage { pool.usage }

  /// Elements that one task of a cheap elementwise operation handles; a multiple of 4 and of every vector's lanes.
  static let elementGrain = 1 << 15

  /// Rows of `columns` elements that make a task worth handing to another thread.
  static func rowGrain(_ columns: Int) -> Int { max(1, elementGrain / 2 / max(1, columns)) }

  /// Whether an output of that many elements is written past the caches (see CPUTiles.h), if its rows are aligned.
  ///
  /// A single thread would only lose by it: nobody else reads what it writes.
  func bypassesCaches(_ elements: Int, rows: UnsafeMutableRawPointer, strideInBytes: Int) -> Bool {
    workers.count > 1 && elements >= Self.fewestOfBypass && UInt(bitPattern: rows) % 64 == 0 && strideInBytes % 64 == 0
  }

  /// A core's own cache would keep shorter ones until they are read.
  private static let fewestOfBypass = 1 << 16

  /// Columns that one task of a sum over rows handles: a few cache lines.
  static let columnGrain = 64
}

extension Tensor {
  private var cpuStorage: CPUStorage {
    guard let storage = storage as? CPUStorage else {
      preconditionFailure("a tensor of another device was given to the CPU backend")
    }
    return storage
  }

  /// The first byte.
  var bytes: UnsafeMutableRawPointer { cpuStorage.pointer + offset * dtype.byteCount }
  /// The first element of an `f32` tensor.
  var floats: UnsafeMutablePointer<Float> { bytes.assumingMemoryBound(to: Float.self) }
  /// The first element of an `i32` tensor.
  var integers: UnsafeMutablePointer<Int32> { bytes.assumingMemoryBound(to: Int32.self) }

  /// How the tiles call the element type of a weight.
  var element: CPUElement {
    switch dtype {
    case .bf16: CPU_BF16
    case .f16: CPU_F16
    case .f32, .i32: CPU_F32
    }
  }
}

extension Activation {
  var tileKind: CPUActivation {
    switch self {
    case .relu: CPU_RELU
    case .silu: CPU_SILU
    case .gelu: CPU_GELU
    case .geluTanh: CPU_GELU_TANH
    case .tanh: CPU_TANH
    }
  }
}
