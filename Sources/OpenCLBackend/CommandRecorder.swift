import COpenCL
import Compute

/// Turns the events of a queue's commands into the commands of a profile.
///
/// Nothing is waited for: events are read when their commands are known to be done.
final class CommandRecorder {
  let profile: Profile
  private let device: OpenCLDevice
  private var pending: [(event: cl_event, name: String, operation: String, enqueued: Profile.Time)] = []
  /// What the profile's clock is ahead of the device's.
  private var offset: Profile.Time?

  /// Events kept before those that are done are looked for.
  private static let patience = 256

  init(profile: Profile, device: OpenCLDevice) {
    self.profile = profile
    self.device = device
  }

  deinit { for command in pending { clReleaseEvent(command.event) } }

  /// Takes over an event.
  ///
  /// - Parameter time: when its command was enqueued.
  func add(_ event: cl_event, _ name: String, enqueuedAt time: Profile.Time) throws {
    guard profile.isOn else {
      clReleaseEvent(event)
      return
    }
    pending.append((event, name, profile.operation, time))
    if pending.count % Self.patience == 0 { try collect(waiting: false) }
  }

  /// Notes what is done, in the order of the queue.
  ///
  /// - Parameter waiting: all of it, once the queue has finished.
  func collect(waiting: Bool) throws {
    var noted = 0
    defer { pending.removeFirst(noted) }
    for command in pending {
      if !waiting, !isComplete(command.event) { return }
      let (queued, start, end) = (
        try time(command.event, CL_PROFILING_COMMAND_QUEUED, command.name),
        try time(command.event, CL_PROFILING_COMMAND_START, command.name),
        try time(command.event, CL_PROFILING_COMMAND_END, command.name)
      )
      let offset = offset ?? command.enqueued - queued
      self.offset = offset
      clReleaseEvent(command.event)
      noted += 1
      profile.add(
        Profile.Command(
          name: command.name, operation: command.operation, start: start + offset, end: end + offset))
    }
  }

  private func isComplete(_ event: cl_event) -> Bool {
    var state: cl_int = 0
    let status = clGetEventInfo(
      event, cl_event_info(CL_EVENT_COMMAND_EXECUTION_STATUS), MemoryLayout<cl_int>.size, &state, nil)
    return status == CL_SUCCESS && state == CL_COMPLETE
  }

  private func time(_ event: cl_event, _ moment: Int32, _ name: String) throws -> Profile.Time {
    var time: cl_ulong = 0
    let status = clGetEventProfilingInfo(
      event, cl_profiling_info(moment), MemoryLayout<cl_ulong>.size, &time, nil)
    guard status == CL_SUCCESS else {
      throw ComputeError.deviceFailure(
        device: device.id, code: OpenCLStatus.name(status), operation: "clGetEventProfilingInfo", detail: name)
    }
    return Profile.Time(truncatingIfNeeded: time)
  }
}
