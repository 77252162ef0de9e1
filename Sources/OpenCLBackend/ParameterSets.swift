import Compute

/// A program that the backend may build: a kernel file with values for its build parameters.
public struct ParameterSet: Sendable, Hashable {
  public let variant: KernelVariant
  /// The kernel file.
  public let file: String
  /// Build parameters by name.
  public let parameters: [String: Int]

  /// Whether the program holds instructions of tensor cores, which other devices cannot build.
  public var needsTensorCores: Bool { ProgramKey(file: file, parameters: parameters).needsTensorCores }

  /// The variant, the file and the parameters in one line.
  public var name: String {
    let values = parameters.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }
    return "\(variant.rawValue) \(file)" + values.joined()
  }

  /// Every program of every variant.
  ///
  /// Attention is built for whatever head width a model has; a choice of widths, the widest among them, stands for all.
  public static let all: [ParameterSet] = KernelVariant.allCases.flatMap(of)

  /// Every program of a variant.
  public static func of(_ variant: KernelVariant) -> [ParameterSet] {
    ProgramKey.all(variant).map { ParameterSet(variant: variant, file: $0.file, parameters: $0.parameters) }
  }
}

/// What became of building one program.
public struct ProgramBuild: Sendable, Codable {
  /// The parameter set's name.
  public var name: String
  /// Wall-clock time, creating the kernels included.
  public var seconds: Double
  /// The kernels in the program.
  public var kernels: [String]
  /// Why it cannot be used, the compiler's log included, in one line; nil if it can.
  public var failure: String?
}

extension OpenCLBackend {
  /// Every program of every variant.
  public static var parameterSets: [ParameterSet] { ParameterSet.all }

  /// Builds every program of this backend's variants from its source, passing the cache by, and creates its kernels.
  ///
  /// Programs with instructions of tensor cores are left out where the device has none. What is built is released
  /// again; the programs in use stay as they are.
  ///
  /// - Parameters:
  ///   - sets: the programs to build; those of other variants are passed over.
  ///   - progress: told of every program when it is done.
  public func buildEveryProgram(
    _ sets: [ParameterSet] = ParameterSet.all, progress: (ProgramBuild) -> Void = { _ in }
  ) -> [ProgramBuild] {
    let clock = ContinuousClock()
    let suited = sets.filter {
      variants.all.contains($0.variant) && (openCLDevice.hasTensorCores || !$0.needsTensorCores)
    }
    return suited.map { set in
      var build = ProgramBuild(name: set.name, seconds: 0, kernels: [])
      let start = clock.now
      do {
        build.kernels = try programs.kernelNames(ProgramKey(file: set.file, parameters: set.parameters))
      } catch {
        build.failure = "\(error)"
      }
      build.seconds = (clock.now - start) / .seconds(1)
      progress(build)
      return build
    }
  }
}
