import COpenCL
import Compute
import Foundation
import Kernels

/// A program: a kernel file with values for its build parameters.
struct ProgramKey: Hashable {
  var file: String
  /// Put in front of the source as `#define name value` lines.
  var parameters: [String: Int] = [:]
}

/// Programs and kernels of one device, built when they are first asked for.
final class ProgramStore {
  private let context: cl_context
  private let handle: cl_device_id
  private let device: OpenCLDevice
  private let library: KernelLibrary
  private let cache: ProgramCache
  private var programs: [ProgramKey: cl_program] = [:]
  private var kernels: [ProgramKey: [String: cl_kernel]] = [:]
  /// Programs that were built from source, and those that came from the cache.
  private(set) var built = 0
  private(set) var loaded = 0

  var programCount: Int { programs.count }
  var kernelCount: Int { kernels.values.reduce(0) { $0 + $1.count } }
  /// The programs in use.
  var keys: Set<ProgramKey> { Set(programs.keys) }

  init(
    context: cl_context, handle: cl_device_id, device: OpenCLDevice, library: KernelLibrary, cache: ProgramCache
  ) {
    self.context = context
    self.handle = handle
    self.device = device
    self.library = library
    self.cache = cache
    clRetainContext(context)
  }

  deinit {
    for kernel in kernels.values.flatMap(\.values) { clReleaseKernel(kernel) }
    for program in programs.values { clReleaseProgram(program) }
    clReleaseContext(context)
  }

  /// - Throws: `ComputeError.buildFailure` with the compiler's log, or `.deviceFailure`.
  func kernel(_ name: String, in key: ProgramKey) throws -> cl_kernel {
    if let kernel = kernels[key]?[name] { return kernel }
    let program = try program(key)
    var status: cl_int = CL_SUCCESS
    guard let kernel = clCreateKernel(program, name, &status), status == CL_SUCCESS else {
      throw ComputeError.deviceFailure(
        device: device.id, code: OpenCLStatus.name(status), operation: "clCreateKernel",
        detail: "\(name) of \(key.file)")
    }
    kernels[key, default: [:]][name] = kernel
    return kernel
  }

  /// Builds a program from its source, apart from those in use, and names its kernels.
  ///
  /// A driver's limit on the work-groups of a kernel is not asked for: Rusticl says 32 where it runs 256.
  ///
  /// - Throws: `ComputeError.buildFailure` with the compiler's log, or `.deviceFailure`.
  func kernelNames(_ key: ProgramKey) throws -> [String] {
    let program = try build(try source(of: key), buildOptions, key.file)
    defer { clReleaseProgram(program) }
    var count: cl_uint = 0
    try check(clCreateKernelsInProgram(program, 0, nil, &count), "clCreateKernelsInProgram", key.file)
    var created = [cl_kernel?](repeating: nil, count: Int(count))
    try check(clCreateKernelsInProgram(program, count, &created, nil), "clCreateKernelsInProgram", key.file)
    let handles = created.compactMap { $0 }
    defer { for kernel in handles { clReleaseKernel(kernel) } }
    return try handles.map { try name(of: $0, key.file) }.sorted()
  }

  private func name(of kernel: cl_kernel, _ file: String) throws -> String {
    let key = cl_kernel_info(CL_KERNEL_FUNCTION_NAME)
    var size = 0
    try check(clGetKernelInfo(kernel, key, 0, nil, &size), "clGetKernelInfo", file)
    var bytes = [UInt8](repeating: 0, count: size)
    try bytes.withUnsafeMutableBytes {
      try check(clGetKernelInfo(kernel, key, size, $0.baseAddress, nil), "clGetKernelInfo", file)
    }
    return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }

  private func check(_ status: cl_int, _ call: String, _ detail: String) throws {
    guard status == CL_SUCCESS else {
      throw ComputeError.deviceFailure(
        device: device.id, code: OpenCLStatus.name(status), operation: call, detail: detail)
    }
  }

  private var buildOptions: String { (device.supportsOpenCLC12 ? "-cl-std=CL1.2 " : "") + "-cl-mad-enable" }

  private func source(of key: ProgramKey) throws -> String {
    let defines = key.parameters.sorted { $0.key < $1.key }.map { "#define \($0.key) \($0.value)\n" }.joined()
    do {
      return defines + (try library.source(key.file))
    } catch {
      throw ComputeError.buildFailure(device: device.id, program: key.file, log: "\(error)")
    }
  }

  private func program(_ key: ProgramKey) throws -> cl_program {
    if let program = programs[key] { return program }
    let (source, options) = (try source(of: key), buildOptions)
    let cacheKey = ProgramCache.key(source: source, options: options, device: device)
    let program: cl_program
    if let binary = cache.load(cacheKey), let cached = load(binary, options) {
      program = cached
      loaded += 1
    } else {
      program = try build(source, options, key.file)
      built += 1
      if let binary = binary(of: program) { cache.store(binary, cacheKey) }
    }
    programs[key] = program
    return program
  }

  private func build(_ source: String, _ options: String, _ file: String) throws -> cl_program {
    var status: cl_int = CL_SUCCESS
    let program = source.withCString { text in
      var pointer: UnsafePointer<CChar>? = text
      return clCreateProgramWithSource(context, 1, &pointer, nil, &status)
    }
    guard let program, status == CL_SUCCESS else {
      throw ComputeError.deviceFailure(
        device: device.id, code: OpenCLStatus.name(status), operation: "clCreateProgramWithSource", detail: file)
    }
    var target: cl_device_id? = handle
    let result = clBuildProgram(program, 1, &target, options, nil, nil)
    guard result == CL_SUCCESS else {
      let log = buildLog(program)
      clReleaseProgram(program)
      throw ComputeError.buildFailure(
        device: device.id, program: file, log: log.isEmpty ? OpenCLStatus.name(result) : log)
    }
    return program
  }

  /// A binary that the driver does not take any more is as good as none.
  private func load(_ binary: Data, _ options: String) -> cl_program? {
    var status: cl_int = CL_SUCCESS
    var target: cl_device_id? = handle
    let program: cl_program? = binary.withUnsafeBytes { bytes in
      var pointer = bytes.bindMemory(to: UInt8.self).baseAddress
      var length = bytes.count
      return clCreateProgramWithBinary(context, 1, &target, &length, &pointer, nil, &status)
    }
    guard let program else { return nil }
    guard status == CL_SUCCESS, clBuildProgram(program, 1, &target, options, nil, nil) == CL_SUCCESS else {
      clReleaseProgram(program)
      return nil
    }
    return program
  }

  private func binary(of program: cl_program) -> Data? {
    var size = 0
    let sizes = clGetProgramInfo(
      program, cl_program_info(CL_PROGRAM_BINARY_SIZES), MemoryLayout<Int>.size, &size, nil)
    guard sizes == CL_SUCCESS, size > 0 else { return nil }
    var bytes = [UInt8](repeating: 0, count: size)
    let status = bytes.withUnsafeMutableBufferPointer { buffer in
      var pointer = buffer.baseAddress
      return clGetProgramInfo(
        program, cl_program_info(CL_PROGRAM_BINARIES), MemoryLayout<UnsafeMutablePointer<UInt8>?>.size, &pointer, nil)
    }
    return status == CL_SUCCESS ? Data(bytes) : nil
  }

  private func buildLog(_ program: cl_program) -> String {
    var size = 0
    let key = cl_program_build_info(CL_PROGRAM_BUILD_LOG)
    guard clGetProgramBuildInfo(program, handle, key, 0, nil, &size) == CL_SUCCESS, size > 0 else { return "" }
    var bytes = [UInt8](repeating: 0, count: size)
    let status = bytes.withUnsafeMutableBytes {
      clGetProgramBuildInfo(program, handle, key, size, $0.baseAddress, nil)
    }
    return status == CL_SUCCESS ? String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) : ""
  }
}
