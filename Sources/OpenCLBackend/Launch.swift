import Compute

/// How the kernels that are written with `lanes.cl` are run.
struct LaneShape {
  var width: Int
  var group: Int
  var block: Int

  init(_ variant: KernelVariant) {
    switch variant {
    case .plain: (width, group, block) = (1, 1, 1024)
    case .cpu: (width, group, block) = (16, 1, 4096)
    case .gpu: (width, group, block) = (1, 128, 1024)
    }
  }

  /// The program of a file written with `lanes.cl`.
  func program(_ file: String) -> ProgramKey {
    ProgramKey(file: file, parameters: ["WIDTH": width, "GROUP": group, "BLOCK": block])
  }
}

extension OpenCLBackend {
  var lanes: LaneShape { LaneShape(variants.rows) }

  func lanesProgram(_ file: String) -> ProgramKey { lanes.program(file) }

  /// Runs a kernel over `rows` rows, a work-group for each or for several in turn.
  ///
  /// A processor gets more groups than cores, so that a core that starts late takes fewer.
  func runRows(_ file: String, _ kernel: String, rows: Int, _ arguments: [KernelArgument]) throws {
    let groups = min(rows, variants.rows == .gpu ? 1 << 16 : 256 * openCLDevice.computeUnits)
    try run(lanesProgram(file), kernel, groups: [groups], local: [lanes.group], arguments)
  }

  /// Runs a kernel over `count` elements in blocks.
  func runBlocks(_ file: String, _ kernel: String, count: Int, _ arguments: [KernelArgument]) throws {
    try run(
      lanesProgram(file), kernel, groups: [(count + lanes.block - 1) / lanes.block], local: [lanes.group],
      arguments + [.size(count)])
  }

  func run(
    _ program: ProgramKey, _ kernel: String, groups: [Int], local: [Int], _ arguments: [KernelArgument]
  ) throws {
    try queue.run(try programs.kernel(kernel, in: program), kernel, groups: groups, local: local, arguments)
  }

  /// A tensor of integers on the device.
  func upload(_ values: [Int32]) throws -> Tensor {
    let tensor = try allocate([max(1, values.count)], .i32)
    let padded = values.isEmpty ? [0] : values
    try padded.withUnsafeBytes { try write($0, to: tensor) }
    return tensor
  }
}
