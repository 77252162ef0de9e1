import CPUBackend
import Compute
import OpenCLBackend
import Testing

/// A device to run a test on.
public struct TestBackend: Sendable, CustomTestStringConvertible {
  /// What `--device` takes, and the device's own name.
  public let name: String
  private let open: @Sendable () throws -> any ComputeBackend

  public init(name: String, open: @escaping @Sendable () throws -> any ComputeBackend) {
    self.name = name
    self.open = open
  }

  /// A backend of the test's own.
  public func make() throws -> any ComputeBackend { try open() }

  public var testDescription: String { name }
}

/// The devices of this machine, for `@Test(arguments: Backends.available)`.
public enum Backends {
  /// The CPU, in Swift.
  public static let cpu = TestBackend(name: "cpu") { try CPUBackend() }

  /// The CPU and every OpenCL device present.
  public static let available: [TestBackend] = [cpu] + openCL

  private static let openCL: [TestBackend] = {
    do {
      return try OpenCLDevices.list().map { device in
        TestBackend(name: "\(device.id) \(device.name)") { try OpenCLBackend(device: device) }
      }
    } catch {
      // Without a driver there is nothing to list; a driver that is there but broken must fail the tests.
      return [TestBackend(name: "opencl") { throw error }]
    }
  }()
}
