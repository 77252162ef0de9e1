import COpenCL
import Compute

/// What an OpenCL device says about itself.
public struct OpenCLDevice: Sendable, Hashable {
  public enum Kind: String, Sendable, Hashable {
    case cpu
    case gpu
    case accelerator
  }

  /// `opencl:P.D`: places in the lists of platforms and of that platform's devices.
  public var id: String
  public var name: String
  public var kind: Kind
  public var vendor: String
  public var platformName: String
  public var platformVersion: String
  public var driverVersion: String
  /// The device's OpenCL version, as it gives it: `OpenCL 3.0 ...`.
  public var deviceVersion: String
  /// The OpenCL C version, as the device gives it: `OpenCL C 1.2 ...`.
  public var languageVersion: String
  /// Bytes of global memory.
  public var memoryBytes: Int
  /// The largest single allocation, in bytes.
  public var maximumAllocation: Int
  public var computeUnits: Int
  /// Bytes of local memory for one work-group.
  public var localMemoryBytes: Int
  /// Whether local memory is a memory of its own rather than a part of global memory.
  public var hasDedicatedLocalMemory: Bool
  /// Floats in the vectors that the device's compiler computes with; 1 where it computes each work-item in scalars.
  public var nativeFloatVector: Int
  /// The most work-items in a work-group.
  public var maximumWorkGroup: Int
  /// Half-precision arithmetic in kernels.
  public var hasHalf: Bool
  /// Double-precision arithmetic in kernels.
  public var hasDouble: Bool
  /// Numbers below 2^-126 are computed with rather than taken for 0.
  public var hasDenormals: Bool
  /// The first number of NVIDIA's compute capability; nil for devices that have none.
  public var computeCapability: Int? = nil
  /// Why the device cannot be used; nil if it can.
  public var unusableReason: String?

  /// Whether the device can be used now, can compile kernels and speaks OpenCL 1.2.
  public var isUsable: Bool { unusableReason == nil }

  /// The platform's and device's places in their lists.
  var platformIndex: Int
  var deviceIndex: Int

  /// Whether kernels may be compiled as OpenCL C 1.2.
  var supportsOpenCLC12: Bool { OpenCLDevices.reaches12(languageVersion) }

  /// The description that every backend gives of its device.
  public var description: DeviceDescription {
    DeviceDescription(
      id: id, name: name, kind: .opencl, memoryBytes: memoryBytes, computeUnits: computeUnits,
      flushesDenormals: !hasDenormals,
      details: [
        ("type", kind.rawValue), ("vendor", vendor), ("platform", platformName), ("version", platformVersion),
        ("driver", driverVersion), ("language", languageVersion), ("maximum allocation", String(maximumAllocation)),
        ("local memory", String(localMemoryBytes)), ("native float vector", String(nativeFloatVector)),
        ("work-group limit", String(maximumWorkGroup)),
        ("fp16", hasHalf ? "yes" : "no"), ("fp64", hasDouble ? "yes" : "no"),
        ("denormals", hasDenormals ? "yes" : "no"), ("tensor cores", hasTensorCores ? "yes" : "no"),
      ])
  }
}
