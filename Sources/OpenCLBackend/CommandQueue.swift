import COpenCL
import Compute

/// The in-order queue of a device, with its errors made readable.
final class CommandQueue {
  private var queue: cl_command_queue
  private let device: OpenCLDevice
  /// Takes the events of commands; nil unless a profile asked for them.
  private var recorder: CommandRecorder?
  /// Host writes, fills and copies replace whole buffers.
  ///
  /// A checking driver may note what is initialised per command and forget, with a part, the rest (Oclgrind does).
  private let writesWhole: Bool
  /// Copies of host memory that a command may still be reading.
  private var staged: [UnsafeMutableRawPointer] = []
  private var stagedBytes = 0

  /// Up to here host memory is copied aside instead of waiting for the queue to reach the transfer.
  private static let stagingLimit = 1 << 20

  init(context: cl_context, handle: cl_device_id, device: OpenCLDevice, writesWhole: Bool) throws {
    queue = try Self.create(context, handle, device, properties: 0)
    self.device = device
    self.writesWhole = writesWhole
  }

  deinit {
    clFinish(queue)
    releaseStaged()
    clReleaseCommandQueue(queue)
  }

  private static func create(
    _ context: cl_context, _ handle: cl_device_id, _ device: OpenCLDevice, properties: cl_command_queue_properties
  ) throws -> cl_command_queue {
    var status: cl_int = CL_SUCCESS
    guard let queue = clCreateCommandQueue(context, handle, properties, &status), status == CL_SUCCESS else {
      throw ComputeError.deviceFailure(
        device: device.id, code: OpenCLStatus.name(status), operation: "clCreateCommandQueue", detail: device.name)
    }
    return queue
  }

  func finish() throws {
    let status = clFinish(queue)
    releaseStaged()
    try check(status, "clFinish", "")
    try recorder?.collect(waiting: true)
  }

  /// Notes in a profile when each command ran, from now on.
  ///
  /// The queue is replaced by one whose commands carry times, so that without a profile nothing is paid for them.
  func record(in profile: Profile, context: cl_context, handle: cl_device_id) throws {
    try finish()
    let timed = try Self.create(
      context, handle, device, properties: cl_command_queue_properties(CL_QUEUE_PROFILING_ENABLE))
    clReleaseCommandQueue(queue)
    queue = timed
    recorder = CommandRecorder(profile: profile, device: device)
  }

  /// Gives a command to the queue, and its event to the recorder.
  private func submit(
    _ name: String, _ call: String, _ detail: @autoclosure () -> String,
    _ enqueue: (UnsafeMutablePointer<cl_event?>?) -> cl_int
  ) throws {
    guard let recorder else { return try check(enqueue(nil), call, detail()) }
    let time = recorder.profile.now
    var event: cl_event?
    try check(enqueue(&event), call, detail())
    if let event { try recorder.add(event, name, enqueuedAt: time) }
  }

  /// Fills a whole buffer with bits that are NaN as floats and -1 as integers.
  func poison(_ buffer: DeviceBuffer) throws {
    try [UInt8](repeating: 0xFF, count: buffer.capacity).withUnsafeBytes { try writeBlocking($0, to: buffer, at: 0) }
  }

  /// Reads a whole buffer, replaces a part and writes it back.
  private func replace(_ buffer: DeviceBuffer, at offset: Int, with bytes: UnsafeRawBufferPointer) throws {
    var contents = [UInt8](repeating: 0, count: buffer.capacity)
    try contents.withUnsafeMutableBytes {
      try read(buffer, at: 0, into: $0)
      UnsafeMutableRawBufferPointer(rebasing: $0[offset...]).copyMemory(from: bytes)
    }
    try contents.withUnsafeBytes { try writeBlocking($0, to: buffer, at: 0) }
  }

  private func writeBlocking(_ bytes: UnsafeRawBufferPointer, to target: DeviceBuffer, at offset: Int) throws {
    let start = target.start + offset
    try submit("write", "clEnqueueWriteBuffer", "\(bytes.count) bytes") {
      clEnqueueWriteBuffer(queue, target.handle, cl_bool(CL_TRUE), start, bytes.count, bytes.baseAddress, 0, nil, $0)
    }
  }

  func write(_ bytes: UnsafeRawBufferPointer, to target: DeviceBuffer, at offset: Int) throws {
    guard let source = bytes.baseAddress else { return }
    if writesWhole { return try replace(target, at: offset, with: bytes) }
    if bytes.count > Self.stagingLimit { return try writeBlocking(bytes, to: target, at: offset) }
    if stagedBytes > 16 * Self.stagingLimit { try finish() }
    let copy = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 64)
    copy.copyMemory(from: source, byteCount: bytes.count)
    staged.append(copy)
    stagedBytes += bytes.count
    let start = target.start + offset
    try submit("write", "clEnqueueWriteBuffer", "\(bytes.count) bytes") {
      clEnqueueWriteBuffer(queue, target.handle, cl_bool(CL_FALSE), start, bytes.count, copy, 0, nil, $0)
    }
  }

  func read(_ source: DeviceBuffer, at offset: Int, into bytes: UnsafeMutableRawBufferPointer) throws {
    let start = source.start + offset
    try submit("read", "clEnqueueReadBuffer", "\(bytes.count) bytes") {
      clEnqueueReadBuffer(queue, source.handle, cl_bool(CL_TRUE), start, bytes.count, bytes.baseAddress, 0, nil, $0)
    }
    releaseStaged()  // the queue has passed every earlier transfer
  }

  func fill(_ buffer: DeviceBuffer, with value: Float, at offset: Int, count: Int) throws {
    if writesWhole {
      return try [Float](repeating: value, count: count).withUnsafeBytes { try replace(buffer, at: offset, with: $0) }
    }
    var value = value
    try submit("fill", "clEnqueueFillBuffer", "\(count * 4) bytes") {
      clEnqueueFillBuffer(queue, buffer.handle, &value, 4, buffer.start + offset, count * 4, 0, nil, $0)
    }
  }

  func copy(
    _ source: DeviceBuffer, at sourceOffset: Int, to target: DeviceBuffer, at targetOffset: Int, byteCount: Int
  ) throws {
    if writesWhole {
      var bytes = [UInt8](repeating: 0, count: byteCount)
      try bytes.withUnsafeMutableBytes { try read(source, at: sourceOffset, into: $0) }
      return try bytes.withUnsafeBytes { try replace(target, at: targetOffset, with: $0) }
    }
    let (from, to) = (source.start + sourceOffset, target.start + targetOffset)
    try submit("copy", "clEnqueueCopyBuffer", "\(byteCount) bytes") {
      clEnqueueCopyBuffer(queue, source.handle, target.handle, from, to, byteCount, 0, nil, $0)
    }
  }

  func run(_ kernel: cl_kernel, _ name: String, groups: [Int], local: [Int], _ arguments: [KernelArgument]) throws {
    var place: cl_uint = 0
    for argument in arguments {
      try argument.set(kernel, &place) { status, place in
        try check(status, "clSetKernelArg", "\(name), argument \(place)")
      }
    }
    let global = zip(groups, local).map { $0 * $1 }
    try submit(name, name, "global \(global), local \(local)") {
      clEnqueueNDRangeKernel(queue, kernel, cl_uint(global.count), nil, global, local, 0, nil, $0)
    }
  }

  private func check(_ status: cl_int, _ operation: String, _ detail: @autoclosure () -> String) throws {
    guard status == CL_SUCCESS else {
      throw ComputeError.deviceFailure(
        device: device.id, code: OpenCLStatus.name(status), operation: operation, detail: detail())
    }
  }

  private func releaseStaged() {
    for pointer in staged { pointer.deallocate() }
    staged = []
    stagedBytes = 0
  }
}
