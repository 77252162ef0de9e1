import COpenCL
import Compute

/// An OpenCL platform or device that is there but cannot be used.
public struct UnusableOpenCL: Sendable, Hashable, Codable {
  /// `opencl:P` for a platform, `opencl:P.D` for a device.
  public var id: String
  public var name: String
  /// Why, in one line.
  public var reason: String
}

/// The OpenCL platforms and devices of this machine.
public enum OpenCLDevices {
  /// Whether an OpenCL loader is installed.
  public static var isInstalled: Bool { copencl_load() == 1 }

  /// Every device that can be used, of every platform in the drivers' order; empty where OpenCL is not installed.
  ///
  /// Platforms and devices that cannot be used are passed over, so that one broken driver does not hide the others;
  /// `unusable` tells which and why.
  ///
  /// - Throws: `ComputeError.deviceFailure` if the loader itself cannot list platforms.
  public static func list() throws -> [OpenCLDevice] { try survey().usable }

  /// What is there but cannot be used, with the reason.
  ///
  /// - Throws: `ComputeError.deviceFailure` if the loader itself cannot list platforms.
  public static func unusable() throws -> [UnusableOpenCL] { try survey().unusable }

  private static func survey() throws -> (usable: [OpenCLDevice], unusable: [UnusableOpenCL]) {
    var usable: [OpenCLDevice] = []
    var unusable: [UnusableOpenCL] = []
    for (platformIndex, platform) in try platforms().enumerated() {
      let name = (try? platformText(platform, CL_PLATFORM_NAME)) ?? "a platform without a name"
      do {
        let handles = try handles(of: platform)
        if handles.isEmpty {
          unusable.append(UnusableOpenCL(id: "opencl:\(platformIndex)", name: name, reason: "it has no devices"))
        }
        for (deviceIndex, handle) in handles.enumerated() {
          let device = try describe(handle, platform, platformIndex, deviceIndex)
          if let reason = device.unusableReason {
            unusable.append(UnusableOpenCL(id: device.id, name: device.name, reason: reason))
          } else {
            usable.append(device)
          }
        }
      } catch {
        unusable.append(UnusableOpenCL(id: "opencl:\(platformIndex)", name: name, reason: "\(error)"))
      }
    }
    return (usable, unusable)
  }

  /// The driver's objects behind a description.
  ///
  /// - Throws: `ComputeError.noSuchDevice` if the device is not there any more.
  static func handles(of device: OpenCLDevice) throws -> (platform: cl_platform_id, device: cl_device_id) {
    let platforms = try platforms()
    guard platforms.indices.contains(device.platformIndex) else {
      throw ComputeError.noSuchDevice("\(device.id): there is no such OpenCL platform")
    }
    let platform = platforms[device.platformIndex]
    let handles = try handles(of: platform)
    guard handles.indices.contains(device.deviceIndex) else {
      throw ComputeError.noSuchDevice("\(device.id): there is no such device on its platform")
    }
    return (platform, handles[device.deviceIndex])
  }

  private static func platforms() throws -> [cl_platform_id] {
    guard isInstalled else { return [] }
    var count: cl_uint = 0
    let status = clGetPlatformIDs(0, nil, &count)
    if status == COPENCL_NOT_LOADED { return [] }  // a loader without any driver
    try check(status, "clGetPlatformIDs")
    guard count > 0 else { return [] }
    var platforms = [cl_platform_id?](repeating: nil, count: Int(count))
    try check(clGetPlatformIDs(count, &platforms, nil), "clGetPlatformIDs")
    return platforms.compactMap { $0 }
  }

  private static func handles(of platform: cl_platform_id) throws -> [cl_device_id] {
    var count: cl_uint = 0
    let all = cl_device_type(0xFFFF_FFFF)
    let status = clGetDeviceIDs(platform, all, 0, nil, &count)
    if status == CL_DEVICE_NOT_FOUND || count == 0 && status == CL_SUCCESS { return [] }
    try check(status, "clGetDeviceIDs")
    var devices = [cl_device_id?](repeating: nil, count: Int(count))
    try check(clGetDeviceIDs(platform, all, count, &devices, nil), "clGetDeviceIDs")
    return devices.compactMap { $0 }
  }

  private static func platformText(_ platform: cl_platform_id, _ key: cl_int) throws -> String {
    try string("clGetPlatformInfo") { clGetPlatformInfo(platform, cl_platform_info(key), $0, $1, $2) }
  }

  private static func describe(
    _ device: cl_device_id, _ platform: cl_platform_id, _ platformIndex: Int, _ deviceIndex: Int
  ) throws -> OpenCLDevice {
    func text(_ key: cl_int) throws -> String {
      try string("clGetDeviceInfo") { clGetDeviceInfo(device, cl_device_info(key), $0, $1, $2) }
    }
    func number<Value: FixedWidthInteger>(_ key: cl_int, _: Value.Type) throws -> Int {
      var value: Value = 0
      let status = clGetDeviceInfo(device, cl_device_info(key), MemoryLayout<Value>.size, &value, nil)
      try check(status, "clGetDeviceInfo")
      return Int(clamping: value)
    }
    let type = try number(CL_DEVICE_TYPE, cl_device_type.self)
    let kind: OpenCLDevice.Kind
    if type & Int(CL_DEVICE_TYPE_GPU) != 0 {
      kind = .gpu
    } else if type & Int(CL_DEVICE_TYPE_CPU) != 0 {
      kind = .cpu
    } else {
      kind = .accelerator
    }
    let extensions = try text(CL_DEVICE_EXTENSIONS).split(separator: " ")
    let available = try number(CL_DEVICE_AVAILABLE, cl_bool.self)
    let compiles = try number(CL_DEVICE_COMPILER_AVAILABLE, cl_bool.self)
    let version = try text(CL_DEVICE_VERSION)
    let unusableReason: String? =
      if available == 0 {
        "the driver says that it is not available"
      } else if compiles == 0 {
        "it has no compiler"
      } else if !reaches12(version) {
        "it speaks \(version); OpenCL 1.2 is needed"
      } else {
        nil
      }
    let memory = try number(CL_DEVICE_GLOBAL_MEM_SIZE, cl_ulong.self)
    return OpenCLDevice(
      id: "opencl:\(platformIndex).\(deviceIndex)", name: try text(CL_DEVICE_NAME), kind: kind,
      vendor: try text(CL_DEVICE_VENDOR), platformName: try platformText(platform, CL_PLATFORM_NAME),
      platformVersion: try platformText(platform, CL_PLATFORM_VERSION), driverVersion: try text(CL_DRIVER_VERSION),
      deviceVersion: version, languageVersion: try text(CL_DEVICE_OPENCL_C_VERSION),
      memoryBytes: kind == .cpu ? min(memory, SystemMemory.byteCount) : memory,
      maximumAllocation: try number(CL_DEVICE_MAX_MEM_ALLOC_SIZE, cl_ulong.self),
      computeUnits: try number(CL_DEVICE_MAX_COMPUTE_UNITS, cl_uint.self),
      localMemoryBytes: try number(CL_DEVICE_LOCAL_MEM_SIZE, cl_ulong.self),
      hasDedicatedLocalMemory: try number(CL_DEVICE_LOCAL_MEM_TYPE, cl_device_local_mem_type.self) == Int(CL_LOCAL),
      nativeFloatVector: try number(CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, cl_uint.self),
      maximumWorkGroup: try number(CL_DEVICE_MAX_WORK_GROUP_SIZE, Int.self),
      hasHalf: extensions.contains("cl_khr_fp16"), hasDouble: extensions.contains("cl_khr_fp64"),
      hasDenormals: try number(CL_DEVICE_SINGLE_FP_CONFIG, cl_device_fp_config.self) & Int(CL_FP_DENORM) != 0,
      unusableReason: unusableReason, platformIndex: platformIndex, deviceIndex: deviceIndex)
  }

  /// Whether a version string, `OpenCL 3.0 ...` or `OpenCL C 1.2 ...`, says 1.2 or more.
  static func reaches12(_ version: String) -> Bool {
    let number = version.split(separator: " ").first { $0.first?.isNumber == true } ?? ""
    let parts = number.split(separator: ".").compactMap { Int($0) }
    return parts.count >= 2 && (parts[0], parts[1]) >= (1, 2)
  }

  private static func string(
    _ call: String, _ query: (Int, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int>?) -> cl_int
  ) throws -> String {
    var size = 0
    try check(query(0, nil, &size), call)
    var bytes = [UInt8](repeating: 0, count: size)
    try bytes.withUnsafeMutableBytes { try check(query(size, $0.baseAddress, nil), call) }
    let text = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    let start = text.firstIndex { $0 != " " } ?? text.endIndex
    let end = text.lastIndex { $0 != " " }.map { text.index(after: $0) } ?? start
    return String(text[start..<end])
  }

  private static func check(_ status: cl_int, _ call: String) throws {
    guard status == CL_SUCCESS else {
      throw ComputeError.deviceFailure(
        device: "opencl", code: OpenCLStatus.name(status), operation: call, detail: "")
    }
  }
}
